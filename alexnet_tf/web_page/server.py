"""The server of the page: Gradio behind the gate, and a folder for what visitors give, out of which it is removed."""
import contextlib
import os
import tempfile
import threading
import time

from alexnet_tf.web_page import gate, markup

KEPT = 600  # seconds from an upload to its removal: far longer than a visitor of a full queue waits
QUEUE = 50  # visitors that wait; others are told that it is full


@contextlib.contextmanager
def serving(listening, answering, heading, about, hosts=None):
    """Inside a `with`, the page is served at a socket.

    Args:
      listening: of listening.listen. answering: an answering.Answering.
      heading, about: plain text for the top of the page.
      hosts: of gate.Gate.

    Raises: ValueError when the server does not start.
    """
    with tempfile.TemporaryDirectory(prefix='alexnet-demo-', ignore_cleanup_errors=True) as folder:
        application = gate.Gate(_application(answering, heading, about, folder), hosts)
        import uvicorn
        server, reasons = uvicorn.Server(uvicorn.Config(application, log_level='error', access_log=False)), []

        def run():
            try:
                server.run(sockets=[listening])
            except (Exception, SystemExit) as error:
                reasons.append(error)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threading.Thread(target=_keep_clean, args=(folder,), daemon=True).start()
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        if not server.started:
            raise ValueError(f'the server of the page did not start ({" ".join(map(repr, reasons))}); give the command '
                             'again.')
        yield


def _application(answering, heading, about, folder):
    """Gradio's ASGI application. folder: for the files of visitors, while they are read."""
    os.environ |= {'GRADIO_TEMP_DIR': folder, 'GRADIO_ANALYTICS_ENABLED': 'False', 'HF_HUB_DISABLE_TELEMETRY': '1'}
    import fastapi
    import gradio
    _take_one_file_a_request(gradio.route_utils)

    def uploaded(path):
        """The path. Visitors may send any text as one; Gradio would copy that file of this machine, or fetch that URL.

        Raises: gradio.Error for a path outside of the folder.
        """
        if not os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep):
            raise gradio.Error('this file was not uploaded', print_exception=False)
        return path

    async def move(path):
        return uploaded(path)

    def answer(path):
        """(None, which empties the place for files, HTML) of a visitor's file."""
        name, shown = os.path.basename(path), answering(uploaded(path))
        return None, markup.refusal(name, shown) if isinstance(shown, str) else markup.answer(name, shown)

    with gradio.Blocks(analytics_enabled=False, title=heading) as page:
        gradio.HTML(markup.top(heading, about), js_on_load=None, apply_default_css=False)
        photograph = gradio.File(label='A photograph, JPEG or PNG', elem_id='photograph', height=140)
        photograph.async_move_resource_to_block_cache = move  # a class of its own would make Gradio write a .pyi here
        shown = gradio.HTML(elem_id='shown', js_on_load=None, apply_default_css=False,
                            min_height=80)
        photograph.upload(answer, photograph, [photograph, shown], api_visibility='private', show_progress='minimal',
                          concurrency_limit=1)
    page.queue(max_size=QUEUE)
    return gradio.mount_gradio_app(
        fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None), page, '/', max_file_size=gate.MAX_UPLOAD,
        theme=gradio.themes.Base(font=['system-ui', 'sans-serif'], font_mono=['monospace']), css=markup.CSS,
        footer_links=[], run_history=False, enable_monitoring=False, ssr_mode=False, mcp_server=False, pwa=False,
        show_error=False)


def _take_one_file_a_request(uploads):
    """Gradio would take a thousand, and hold all of them open. uploads: its module."""
    parser = uploads.GradioMultiPartParser
    uploads.GradioMultiPartParser = lambda *values, **options: parser(*values, **options | {'max_files': 1})


def _keep_clean(folder):
    """Removes what visitors gave and has been read, until there is no folder."""
    while os.path.isdir(folder):
        remove_old(folder, KEPT)
        time.sleep(KEPT / 6)


def remove_old(folder, seconds):
    """Removes what is in a folder and was last written so many seconds ago, or before.

    Gradio's own delete_cache leaves what a connection that broke had sent, and folders named by a checksum of the file.
    """
    for place, folders, files in os.walk(folder, topdown=False):
        for remove, names in ((os.remove, files), (os.rmdir, folders)):
            for path in (os.path.join(place, name) for name in names):
                with contextlib.suppress(OSError):  # a folder that is not empty stays
                    if time.time() - os.lstat(path).st_mtime >= seconds:
                        remove(path)
