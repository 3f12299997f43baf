"""Who may listen where, what the gate lets through, and what is kept."""
import asyncio
import json
import os
import re
import socket
import sys
import urllib.request

import pytest

from alexnet_tf import demo
from alexnet_tf.web_page import gate, listening, server
from tests.helpers import commands


def test_without_gradio_one_sentence_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    result = commands.call(demo, '--port=0')
    assert result.returncode == 1
    assert re.fullmatch(r"x: the page needs Gradio, .*; pip install 'gradio>=6.*'", result.stderr)


def test_a_port_that_is_taken_and_hosts_that_are_not_here():
    with listening.listen('127.0.0.1', 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf'^--port={port} is taken on 127.0.0.1 by another program'):
            listening.listen('127.0.0.1', port)
    for host in ('a b', '192.0.2.1'):
        with pytest.raises(ValueError, match=f'--host={host}'):
            listening.listen(host, 0)


def test_by_itself_only_this_machine_is_listened_to():
    host = next(row.default for row in demo.ROWS if row.name == 'host')
    with listening.listen(host, 0) as listens:
        port = listens.getsockname()[1]
        assert listens.getsockname()[0] == '127.0.0.1'
        socket.create_connection(('127.0.0.1', port), timeout=5).close()
        with pytest.raises(OSError):
            socket.create_connection(('127.0.0.2', port), timeout=5)


@pytest.mark.parametrize('host, url', [('127.0.0.1', 'http://127.0.0.1:5'), ('0.0.0.0', 'http://127.0.0.1:5'),
                                       ('::1', 'http://[::1]:5'), ('here', 'http://here:5')])
def test_what_is_opened(host, url):
    assert listening.url(host, 5) == url


def ask(path, kind='http'):
    """(status, {header: value}, whether it was passed on) of the gate."""
    sent, passed = [], []

    async def application(scope, receive, send):
        passed.append(scope['path'])
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'a', b'b')]})
        await send({'type': 'http.response.body', 'body': b'x'})

    async def send(message):
        sent.append(message)
    asyncio.run(gate.Gate(application)({'type': kind, 'path': path}, None, send))
    return sent[0].get('status'), dict(sent[0].get('headers', ())), bool(passed)


@pytest.mark.parametrize('path', ['/', '/assets/index-D.js', '/theme.css', '/gradio_api/upload',
                                  '/gradio_api/queue/join'])
def test_what_the_page_asks_for_passes(path):
    status, headers, passed = ask(path)
    assert status == 200 and passed and headers[b'a'] == b'b'
    policy = dict(part.split(' ', 1) for part in headers[b'content-security-policy'].decode().split('; '))
    assert policy['default-src'] == "'self'" and not any('http' in sources for sources in policy.values())


@pytest.mark.parametrize('path', [
    '/gradio_api/file=/etc/passwd', '/gradio_api/info', '/gradio_api/openapi.json', '/gradio_api/proxy=http://a/',
    '/gradio_api/call/answer', '/gradio_api/run/answer', '/gradio_api/runs', '/gradio_api/upload/x', '/config',
    '/monitoring', '/docs', '/assets/../x', '/\n'])
def test_the_rest_of_gradio_is_not_there(path):
    status, headers, passed = ask(path)
    assert status == 404 and not passed and b'content-security-policy' in headers


def test_other_protocols_are_closed():
    assert ask('/', 'websocket') == (None, {}, False)


def test_what_is_old_is_removed_and_what_is_new_stays(tmp_path):
    for name in ('both/old', 'both/new', 'b', 'empty/'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).mkdir() if name[-1] == '/' else (tmp_path / name).write_text('x')
    for path in tmp_path.rglob('*'):
        written = path.stat().st_mtime - (5 if path.name == 'new' else 100)
        os.utime(path, (written, written))
    server.remove_old(tmp_path, 60)
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['both', 'new']


def call(page, path, **more):
    """What the page would show of a file, called by a program in place of a browser; None: it was refused."""
    file = {'path': str(path), 'meta': {'_type': 'gradio.FileData'}} | more
    headers = {'Content-Type': 'application/json'}
    session = {'data': [file], 'fn_index': 0, 'session_hash': f'{path}{more}'.encode().hex()}
    urllib.request.urlopen(urllib.request.Request(
        f'{page}/gradio_api/queue/join', json.dumps(session).encode(), headers), timeout=30)
    with urllib.request.urlopen(f'{page}/gradio_api/queue/data?session_hash={session["session_hash"]}',
                                timeout=30) as lines:
        last = next(line for line in lines if b'process_completed' in line)
    output = json.loads(last.removeprefix(b'data: '))['output']
    return output['data'][1] if output.get('data') else None


def upload(url, content):
    """The path of an uploaded file."""
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n%b\r\n--x--\r\n' % content
    with urllib.request.urlopen(urllib.request.Request(
            f'{url}/gradio_api/upload', form, {'Content-Type': 'multipart/form-data; boundary=x'}), timeout=30) as said:
        return json.load(said)[0]


@pytest.mark.slow
def test_visitors_cannot_name_files_of_this_machine_nor_addresses(tmp_path, monkeypatch):
    processing = pytest.importorskip('gradio').processing_utils
    fetched, read = [], []

    async def fetch(address, **_):
        fetched.append(address)
        return str(tmp_path / 'secret.jpg')
    monkeypatch.setattr(processing, 'async_ssrf_protected_download', fetch)
    (tmp_path / 'secret.jpg').write_bytes(b'secret')

    def answering(path):
        read.append(open(path, 'rb').read())
        return 'a reason'
    with listening.listen('127.0.0.1', 0) as listens, server.serving(listens, answering, 'heading', 'about'):
        url = listening.url(*listens.getsockname())
        uploaded = upload(url, b'mine')
        assert 'a reason' in call(url, uploaded) and read == [b'mine']
        link = os.path.join(os.path.dirname(uploaded), 'link.jpg')
        os.symlink(tmp_path / 'secret.jpg', link)
        for more in ({}, {'is_stream': True}, {'url': f'{url}/x.jpg'}):
            for path in (tmp_path / 'secret.jpg', f'{uploaded}/../../../{tmp_path}/secret.jpg', link,
                         'http://192.0.2.1/x.jpg', 'https://192.0.2.1/x.jpg'):
                assert call(url, path, **more) is None, (path, more)
    assert read == [b'mine'] and not fetched
