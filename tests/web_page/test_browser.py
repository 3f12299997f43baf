"""The page in a real browser, Chromium without a window: what visitors see, and what leaves the machine."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.helpers import commands, hostile_images
from tests.helpers.processes import NARROW, ROOT
from tests.web_page.conftest import NAMES, SCRIPT

BROWSER, DRIVER = shutil.which('chromium'), shutil.which('chromedriver')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not (BROWSER and DRIVER), reason='needs Chromium and its driver: apt-get install chromium chromium-driver')]
FILE, TABLE, REFUSED = '#photograph input[type=file]', '.answers', '.refused'
SECONDS = 60  # to wait for an answer


class Demo(subprocess.Popen):
    """The command in a process of its own. url: of the page. folder: where its temporary files are."""

    def __init__(self, run, folder):
        folder.mkdir()
        super().__init__([sys.executable, *NARROW, 'alexnet_tf.demo', f'--checkpoint_path={run}', '--port=0'], cwd=ROOT,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         env=os.environ | {'TMPDIR': str(folder)})
        self.folder, said = folder, []
        for line in self.stdout:
            said.append(line)
            if found := re.search(r'^Open (http://127.0.0.1:\d+) in a browser; Ctrl-C ends it\.$', line):
                self.url = found[1]
                return
        raise AssertionError(''.join(said))


@pytest.fixture(scope='module')
def demo(run, tmp_path_factory):
    pytest.importorskip('gradio')
    demo = Demo(run, tmp_path_factory.mktemp('demo') / 'tmp')
    yield demo
    demo.kill()
    demo.communicate()


@contextlib.contextmanager
def browser():
    webdriver = pytest.importorskip('selenium.webdriver')
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'performance': 'ALL'})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def page(demo):
    """A browser with the page."""
    with browser() as driver:
        driver.get(demo.url)
        yield driver


def elements(page, selector):
    return page.find_elements('css selector', selector)


def wait(page, selector, text=''):
    """The first element of a kind that holds a text."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = [element for element in elements(page, selector) if text in element.get_attribute('textContent')]
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f'no {selector} with {text!r}: {elements(page, "body")[0].text}')


def give(page, path):
    wait(page, FILE).send_keys(str(path))


def answers(page, name):
    """[(class, probability as it is shown)] for the file of this name."""
    wait(page, '.shown figcaption', name)
    return [(row.find_element('tag name', 'th').text, row.find_elements('tag name', 'td')[-1].text)
            for row in elements(page, f'{TABLE} tr')]


def predicted(run, *photographs):
    """The same by `predict`."""
    printed = commands.call('alexnet_tf.predict', *photographs, f'--checkpoint_path={run}', '--json_lines',
                            '--batch_size=1', positional='images', check=True).stdout
    lines = map(json.loads, printed.splitlines())
    return [[(name.replace('\x1b', '\\x1b').replace('\u202e', '\\u202e'), f'{100 * probability:.2f} %')
             for name, probability in zip(line['classes'], line['probabilities'])] for line in lines]


def test_the_answers_are_those_of_predict_and_nothing_is_asked_of_others(page, demo, run, photographs):
    expected = predicted(run, *photographs[:3])
    for photograph, wanted in zip(photographs, expected):
        give(page, photograph)
        assert answers(page, photograph.name) == wanted
    assert {name for wanted in expected for name, _ in wanted} & set(NAMES[:4])
    assert page.title == 'What is in a photograph?' and not elements(page, '[onerror]')  # no class name was run
    assert len(elements(page, '.kernel img')) == 8
    assert all(len(image.get_attribute('alt')) > 10 for image in elements(page, '.shown img, .kernel img'))
    happened = [json.loads(entry['message'])['message'] for entry in page.get_log('performance')]
    asked = {one['params']['request']['url'] for one in happened if one['method'] == 'Network.requestWillBeSent'}
    assert len(asked) > 20 and f'{demo.url}/' in asked
    assert not {url for url in asked if not url.startswith((f'{demo.url}/', 'data:'))}


def test_what_is_no_photograph_is_refused_with_a_sentence(page, run, photographs, tmp_path):
    jpeg = photographs[0].read_bytes()
    for name, content, sentence in (
            ('notes.txt', b'some text', 'it is neither JPEG nor PNG.'), ('empty.jpg', b'', 'the file is empty.'),
            ('cut.jpg', jpeg[:len(jpeg) // 2], 'the JPEG is damaged or cut off.'),
            ('bomb.jpg', hostile_images.gray_jpeg(12000), 'has 144000000 pixels; at most 89478485 are decoded.'),
            (f'{SCRIPT}.jpg', b'x', 'onerror')):
        (tmp_path / name).write_bytes(content)
        give(page, tmp_path / name)
        assert sentence in wait(page, REFUSED, os.path.splitext(name)[0][:4].strip('<')).text
        assert not elements(page, '[onerror]') and not elements(page, TABLE)
    large = tmp_path / 'large.jpg'
    with open(large, 'wb') as file:
        file.truncate(33 << 20)
    give(page, large)
    wait(page, 'body', 'exceed the maximum allowed size of 32.0 Mb: "large.jpg"')
    give(page, photographs[1])
    assert answers(page, photographs[1].name) == predicted(run, photographs[1])[0]


def test_five_visitors_at_once_each_get_their_own_answers(page, demo, run, photographs):
    visitors = [page.current_window_handle]
    for _ in range(4):
        page.switch_to.new_window('window')
        page.get(demo.url)
        visitors.append(page.current_window_handle)
    for visitor in visitors:
        page.switch_to.window(visitor)
        wait(page, FILE)
    for visitor, photograph in zip(visitors, photographs):
        page.switch_to.window(visitor)
        give(page, photograph)
    expected = predicted(run, *photographs[:5])
    assert len(set(map(tuple, expected))) == 5
    for visitor, photograph, wanted in zip(visitors, photographs, expected):
        page.switch_to.window(visitor)
        assert answers(page, photograph.name) == wanted


def test_it_fits_a_phone_and_needs_no_mouse(page, photographs):
    page.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', {
        'width': 360, 'height': 740, 'deviceScaleFactor': 2, 'mobile': True})
    give(page, photographs[0])
    answers(page, photographs[0].name)
    assert page.execute_script('return document.documentElement.scrollWidth') <= 360
    for image in elements(page, '.shown img, .kernel img'):
        assert image.rect['x'] >= 0 and image.rect['x'] + image.rect['width'] <= 360
    page.execute_script('document.activeElement.blur()')
    reached = []
    for _ in range(5):
        elements(page, 'body')[0].send_keys('\ue004')  # Tab
        reached.append(page.execute_script(
            'let e = document.activeElement; return e.closest("#photograph") ? e.tagName : ""'))
    assert 'BUTTON' in reached, reached


def test_only_this_machine_is_answered_and_only_the_page(demo):
    port = int(demo.url.rpartition(':')[2])
    others = {'127.0.0.2', *(found[4][0] for found in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET))}
    for address in others - {'127.0.0.1'}:
        with pytest.raises(OSError):
            socket.create_connection((address, port), timeout=5)
    with urllib.request.urlopen(demo.url, timeout=SECONDS) as response:
        assert "default-src 'self'" in response.headers['content-security-policy']
    for path in ('config', 'gradio_api/info', f'gradio_api/file={demo.folder}'):
        with pytest.raises(urllib.error.HTTPError, match='404'):
            urllib.request.urlopen(f'{demo.url}/{path}', timeout=SECONDS)
    with pytest.raises(urllib.error.HTTPError, match='403'):
        urllib.request.urlopen(urllib.request.Request(demo.url, headers={'Host': 'rebound.example'}), timeout=SECONDS)


def test_ctrl_c_ends_it_with_a_sentence_and_leaves_no_file(run, photographs, tmp_path):
    pytest.importorskip('gradio')
    demo = Demo(run, tmp_path / 'tmp')
    with browser() as page:
        page.get(demo.url)
        give(page, photographs[0])
        answers(page, photographs[0].name)
        assert list(demo.folder.rglob(photographs[0].name))  # for ten minutes
        demo.send_signal(signal.SIGINT)
        printed, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130 and printed == 'demo: stopped by SIGINT\n'
    assert not list(demo.folder.glob('alexnet-demo-*')) and not list(demo.folder.rglob(photographs[0].name))
