"""What a report says and shows, read back from it."""
import pytest

from alexnet_tf.figure_one import report

CURVES = {'relu': {'0.001': [50.0, 30.0, 20.0], '0.01': [80.0, None]},
          'tanh': {'0.001': [60.0, 50.0, 40.0, 30.0, 20.0]}}
SHORT = {'relu': {'0.001': [50.0, 20.0]}, 'tanh': {'0.001': [60.0, 50.0], '0.01': [70.0, 55.0]}}


def test_table():
    assert report.table(CURVES).splitlines()[:6] == [
        'activation,learning_rate,epoch,training_error_percent', 'relu,0.001,1,50.00', 'relu,0.001,2,30.00',
        'relu,0.001,3,20.00', 'relu,0.01,1,80.00', 'relu,0.01,2,not finite']
    assert report.table(CURVES).count('\n') == 11


def test_text():
    assert report.ratio(CURVES) == pytest.approx(4.5 / 2.5) and report.ratio(SHORT) is None
    assert report.text(CURVES).splitlines() == [
        'ReLU: 25 % training error after 2.5 epochs, at the rate 0.001.',
        'tanh: 25 % training error after 4.5 epochs, at the rate 0.001.',
        'tanh takes 1.8 times as many epochs; the paper says six times.']
    assert 'tanh: 25 % training error was not reached' in report.text(SHORT) and 'times' not in report.text(SHORT)


def test_picture():
    pytest.importorskip('matplotlib')
    figure = report.draw(CURVES, 50_000)
    axes, = figure.axes
    curves = [line for line in axes.lines if len(line.get_xdata()) > 1 and len(set(line.get_ydata())) > 1]
    shown = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata()), line.get_linestyle())
             for line in curves}
    assert shown == {'ReLU, rate 0.001': ([1, 2, 3], [50, 30, 20], '-'),
                     'tanh, rate 0.001': ([1, 2, 3, 4, 5], [60, 50, 40, 30, 20], '--')}
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines
            if line.get_marker() == 'o'] == [([2.5], [25]), ([4.5], [25])]
    assert [text.get_text() for text in axes.texts] == ['2.5', '4.5']
    assert any(set(line.get_ydata()) == {25} and line.get_linestyle() == '--' for line in axes.lines
               if len(line.get_xdata()) > 1)  # the threshold
    assert '50,000 images' in axes.get_title() and '1.8 times' in axes.get_title() and 'six' in axes.get_title()
    assert 'not reached by tanh' in report.draw(SHORT, 5).axes[0].get_title()
