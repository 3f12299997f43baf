"""What stands before Gradio: it lets through what the page itself asks for, and no more."""
import re

_UPLOAD = '/gradio_api/upload'
# What the page's own scripts ask for. The rest of Gradio's addresses, which serve files, fetch others and describe the
# functions, answer with "not found".
_ASKED = re.compile(r'/(|assets/[^/]+|static/[\w./-]+|theme\.css|favicon\.ico|manifest\.json|robots\.txt|gradio_api/'
                    r'(upload|upload_progress|queue/join|queue/data|heartbeat/\w+|startup-events))')
MAX_UPLOAD = 32 << 20  # bytes; photographs of cameras have less
_FORM = 1 << 20  # bytes around an uploaded file
_MAX_BODY = 1 << 16  # bytes of any other request: the page sends a few hundred
# The browser itself keeps the page from fetching anything from elsewhere. Gradio's scripts make functions of text.
_HEADERS = ((b'content-security-policy',
             b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
             b"img-src 'self' data:; font-src 'self' data:; object-src 'none'; frame-ancestors 'none'; "
             b"form-action 'none'; base-uri 'self'"),
            (b'referrer-policy', b'no-referrer'), (b'x-content-type-options', b'nosniff'))


class Gate:
    """An ASGI application that passes on what the page asks for.

    hosts: what browsers may call this machine; None: anything. A name of a stranger's that leads to this machine would
    make the page a part of the stranger's site, which could then read it ("DNS rebinding").
    """

    def __init__(self, application, hosts=None):
        self._application, self._hosts = application, hosts

    async def __call__(self, scope, receive, send):
        if scope['type'] == 'lifespan':
            await self._application(scope, receive, send)
            return

        async def send_on(message):
            if message['type'] == 'http.response.start':
                message = {**message, 'headers': [*message.get('headers', ()), *_HEADERS]}
            await send(message)
        if scope['type'] != 'http':
            await send({'type': 'websocket.close'})
        elif refusal := self._refusal(scope['path'], dict(scope['headers'])):
            status, why = refusal
            await send_on({'type': 'http.response.start', 'status': status,
                           'headers': [(b'content-type', b'text/plain; charset=utf-8')]})
            await send_on({'type': 'http.response.body', 'body': why.encode()})
        else:
            await self._application(scope, receive, send_on)

    def _refusal(self, path, headers):
        """(status, why) of a request that is not passed on; None: it is."""
        host = re.sub(r':\d+$', '', headers.get(b'host', b'').decode('latin-1')).strip('[]').lower()
        if self._hosts and host not in self._hosts:
            return 403, f'This page is open under {" and ".join(self._hosts)} alone.'
        if not _ASKED.fullmatch(path):
            return 404, 'There is no such page.'
        if b'transfer-encoding' in headers:  # browsers and proxies say the length
            return 411, 'A request must say its length.'
        most = MAX_UPLOAD + _FORM if path == _UPLOAD else _MAX_BODY
        if int(headers.get(b'content-length', 0)) > most:
            return 413, f'The request is too large; at most {most} bytes are taken.'
        return None
