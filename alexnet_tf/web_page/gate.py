"""What stands before Gradio: it lets through what the page itself asks for, and no more."""
import re

# What the page's own scripts ask for. The rest of Gradio's addresses, which serve files, fetch others and describe the
# functions, answer with "not found".
_ASKED = re.compile(r'/(|assets/[^/]+|static/[\w./-]+|theme\.css|favicon\.ico|manifest\.json|robots\.txt|gradio_api/'
                    r'(upload|upload_progress|queue/join|queue/data|heartbeat/\w+|startup-events))')
# The browser itself keeps the page from fetching anything from elsewhere. Gradio's scripts make functions of text.
_HEADERS = ((b'content-security-policy',
             b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
             b"img-src 'self' data:; font-src 'self' data:; object-src 'none'; frame-ancestors 'none'; "
             b"form-action 'none'; base-uri 'self'"),
            (b'referrer-policy', b'no-referrer'), (b'x-content-type-options', b'nosniff'))


class Gate:
    """An ASGI application that passes on what the page asks for."""

    def __init__(self, application):
        self._application = application

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
        elif _ASKED.fullmatch(scope['path']):
            await self._application(scope, receive, send_on)
        else:
            await send_on({'type': 'http.response.start', 'status': 404, 'headers': []})
            await send_on({'type': 'http.response.body', 'body': b''})
