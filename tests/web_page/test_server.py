"""Who may listen where, what the gate lets through, and what is kept."""
import asyncio
import json
import os
import re
import socket
import sys
import tempfile
import urllib.error
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


def ask(path, kind='http', *, hosts=None, **headers):
    """(status, {header: value}, whether it was passed on) of the gate. headers: of the request, with _ for -."""
    sent, passed = [], []

    async def application(scope, receive, send):
        passed.append(scope['path'])
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'a', b'b')]})
        await send({'type': 'http.response.body', 'body': b'x'})

    async def send(message):
        sent.append(message)
    headers = [(name.replace('_', '-').encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(gate.Gate(application, hosts)({'type': kind, 'path': path, 'headers': headers}, None, send))
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


@pytest.mark.parametrize('host, passes', [
    ('127.0.0.1:7860', True), ('LOCALHOST:1', True), ('localhost', True), ('[::1]:7860', True), ('[::1]', True),
    ('rebound.example:7860', False), ('127.0.0.1.example', False), ('localhost:1@rebound.example', False), ('', False)])
def test_a_name_of_a_stranger_that_leads_here_is_refused(host, passes):
    status, _, passed = ask('/', hosts=listening.LOCAL, host=host)
    assert (status, passed) == ((200, True) if passes else (403, False))
    assert ask('/', host=host)[2]  # with --host=0.0.0.0 this machine may have any name


@pytest.mark.parametrize('path, headers, status', [
    ('upload', {'content_length': str((32 << 20) + 1000)}, 200), ('upload', {'content_length': str(40 << 20)}, 413),
    ('queue/join', {'content_length': '1000'}, 200), ('queue/join', {'content_length': str(1 << 20)}, 413),
    ('upload', {'transfer_encoding': 'chunked'}, 411),
    ('upload', {'transfer_encoding': 'chunked', 'content_length': '10'}, 411)])
def test_what_is_too_large_is_refused_before_it_is_read(path, headers, status):
    assert ask(f'/gradio_api/{path}', **headers)[::2] == (status, status == 200)


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


def upload(url, *contents):
    """The path of the first of uploaded files."""
    form = b''.join(b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n%b\r\n' % content
                    for content in contents) + b'--x--\r\n'
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


@pytest.mark.slow
def test_one_request_brings_one_file(tmp_path, monkeypatch):
    pytest.importorskip('gradio')
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    with listening.listen('127.0.0.1', 0) as listens, server.serving(listens, None, 'heading', 'about'):
        url = listening.url(*listens.getsockname())
        with pytest.raises(urllib.error.HTTPError) as refused:
            upload(url, b'a', b'b')
        assert refused.value.code == 400 and b'Too many files' in refused.value.read()
        assert not [path for path in tmp_path.rglob('*') if path.is_file()]
        assert upload(url, b'a').endswith('a.jpg')


@pytest.mark.slow
def test_a_server_that_does_not_start_is_said():
    pytest.importorskip('gradio')
    listens = listening.listen('127.0.0.1', 0)
    listens.close()
    with (pytest.raises(ValueError, match='the server of the page did not start .*Bad file descriptor.*; give the'),
          server.serving(listens, None, 'heading', 'about')):
        pass
