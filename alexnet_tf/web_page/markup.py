"""What the page shows, as HTML. All text that comes from elsewhere, as names of files and classes, is escaped."""
import base64
import html

import numpy as np
import tensorflow as tf

from alexnet_tf.console import terminal

# Colors are those of the page's theme, so that they follow the visitor's choice of light or dark; nothing is told by
# color alone.
CSS = """
.gradio-container { max-width: 860px !important; margin: auto; }
.heading { font-size: 26px; font-weight: 600; }
.note, .shown figcaption { font-size: 14px; opacity: 0.8; margin: 4px 0; overflow-wrap: anywhere; }
.part { margin-top: 28px; font-size: 18px; font-weight: 600; }
.shown { display: flex; flex-wrap: wrap; gap: 12px 32px; }
.shown figure { margin: 0; max-width: 280px; }
.shown img { display: block; width: 280px; max-width: 100%; }
.answers { flex: 1 1 270px; border-collapse: collapse; align-self: flex-start; }
.answers caption { text-align: left; font-weight: 600; padding-bottom: 8px; }
.answers th { text-align: left; font-weight: normal; padding: 3px 12px 3px 0; overflow-wrap: anywhere; }
.answers tr:first-child { font-weight: 600; }
.answers tr:first-child th { font-weight: 600; }
.answers td:last-child { text-align: right; white-space: nowrap; padding-left: 12px;
  font-variant-numeric: tabular-nums; }
.answers .bar { width: 35%; }
.bar div { background: #0072B2; height: 14px; min-width: 1px; }
.kernels { display: grid; grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); gap: 12px; margin-top: 12px; }
.kernel b { display: block; }
.kernel img { display: inline-block; width: 64px; height: 64px; margin: 2px 4px 0 0; image-rendering: pixelated;
  outline: 1px solid rgba(128, 128, 128, 0.5); }
.neighbors { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 12px; }
.neighbors figure { margin: 0; width: 96px; }
.neighbors figcaption { font-size: 14px; opacity: 0.8; overflow-wrap: anywhere; }
.refused { border-left: 4px solid #D55E00; padding: 8px 12px; overflow-wrap: anywhere; }
"""


def top(heading, about):
    """The top of the page: plain texts."""
    return f'<h1 class="heading">{text(heading)}</h1><p class="note">{text(about, 1000)}</p>'


def refusal(name, why):
    """The sentence about a file that cannot be read. name: the file's; why: as of Answering."""
    return f'<p class="refused" role="alert"><b>{text(name)}</b> cannot be read: {text(why)}.</p>'


def answer(name, shown):
    """An answering.Shown. name: of the file."""
    return (f'<div class="shown" role="status">{_photograph(name, shown.image)}{_answers(shown.best)}</div>'
            + _kernels(shown.kernels) + _neighbors(shown.neighbors))


def text(words, most=200):
    """Words of anybody's as HTML, which shows them as they are; what is too long is cut off."""
    words = terminal.printable(words)
    return html.escape(words if len(words) <= most else f'{words[:most - 1]}…')


def _photograph(name, image):
    height, width = image.shape[:2]
    return (f'<figure>{_image(image, "Your photograph, as the network sees it")}'
            f'<figcaption>{text(name)}, as the network sees it: {width}×{height} pixels</figcaption></figure>')


def _answers(best):
    rows = ''.join(
        f'<tr><th scope="row">{text(name, 60)}</th><td class="bar" aria-hidden="true"><div style="width: '
        f'{100 * probability:.2f}%"></div></td><td>{100 * probability:.2f} %</td></tr>' for name, probability in best)
    return f'<table class="answers"><caption>The most probable classes</caption><tbody>{rows}</tbody></table>'


def _kernels(found):
    height, width = found[0].weights.shape[:2]
    cards = ''.join(
        f'<div class="kernel"><b>Kernel {number}: {kernel.answer.strength:.1f}</b>'
        + _image(np.uint8(np.round(255 * kernel.weights)), f'The weights of kernel {number}')
        + _image(kernel.patch, f'The part of your photograph that kernel {number} answered to') + '</div>'
        for kernel in found for number in [kernel.answer.number])
    return ('<h2 class="part">The kernels that answered most</h2><p class="note">Four of the first layer: the weights '
            f'of each, and the {width}×{height} pixels of your photograph to which it gave its largest value.</p>'
            f'<div class="kernels">{cards}</div>')


def _neighbors(found):
    if not found:
        return ''
    figures = ''.join(
        f'<figure>{_image(neighbor.image, f"A training image of {neighbor.class_name}")}<figcaption>'
        f'{text(neighbor.class_name, 60)}<br>{neighbor.distance:.1f}</figcaption></figure>' for neighbor in found)
    return ('<h2 class="part">The nearest training images</h2><p class="note">With their classes and the distances of '
            f'their features (fc7) from those of your photograph.</p><div class="neighbors">{figures}</div>')


def _image(pixels, words):
    """An img element that holds the pixels, uint8 [height, width, 3]: nothing is left on the disk to be fetched."""
    content = base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()
    return f'<img src="data:image/png;base64,{content}" alt="{text(words)}">'
