"""Slim's optimizers with Keras' arithmetic.

momentum is the paper's rule (section 5): v <- 0.9 v - lr (g + decay w); w <- w + v, the learning rate
inside the velocity (slim's TF1 MomentumOptimizer has it outside). The train step adds `decay * w`
to the gradient of weights, for every optimizer, as slim's regularization losses did.
"""
import tensorflow as tf
import tf_keras

NAMES = ('adadelta', 'adagrad', 'adam', 'ftrl', 'momentum', 'sgd', 'rmsprop')


class Momentum(tf_keras.optimizers.SGD):
    """SGD with momentum whose update reads and writes each variable once: Keras' own takes several passes."""

    def update_step(self, gradient, variable):
        velocity = self.momentums[self._index_dict[self._var_key(variable)]]
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle, accum=velocity.handle, lr=tf.cast(self.learning_rate, variable.dtype), grad=gradient,
            momentum=tf.cast(self.momentum, variable.dtype))


def make(name, *, momentum=0.9, adadelta_rho=0.95, adagrad_initial_accumulator_value=0.1,
         adam_beta1=0.9, adam_beta2=0.999, opt_epsilon=1.0, ftrl_learning_rate_power=-0.5,
         ftrl_initial_accumulator_value=0.1, ftrl_l1=0.0, ftrl_l2=0.0, rmsprop_momentum=0.9,
         rmsprop_decay=0.9):
    """A tf_keras optimizer; arguments are slim's flags. The learning rate is assigned every step.

    Raises: ValueError for an unknown name.
    """
    kinds = tf_keras.optimizers
    makers = {
        'adadelta': lambda **k: kinds.Adadelta(rho=adadelta_rho, epsilon=opt_epsilon, **k),
        'adagrad': lambda **k: kinds.Adagrad(  # slim's has no opt_epsilon; the accumulator starts above 0
            initial_accumulator_value=adagrad_initial_accumulator_value, **k),
        'adam': lambda **k: kinds.Adam(beta_1=adam_beta1, beta_2=adam_beta2, epsilon=opt_epsilon, **k),
        'ftrl': lambda **k: kinds.Ftrl(
            learning_rate_power=ftrl_learning_rate_power,
            initial_accumulator_value=ftrl_initial_accumulator_value,
            l1_regularization_strength=ftrl_l1, l2_regularization_strength=ftrl_l2, **k),
        'momentum': lambda **k: Momentum(momentum=momentum, **k),
        'sgd': lambda **k: kinds.SGD(**k),
        'rmsprop': lambda **k: kinds.RMSprop(
            rho=rmsprop_decay, momentum=rmsprop_momentum, epsilon=opt_epsilon, **k),
    }
    if name not in makers:
        raise ValueError(f'unknown optimizer {name!r}; known are {", ".join(NAMES)}.')
    # XLA compiles for minutes and runs slower than the plain kernels on the CPU.
    return makers[name](learning_rate=0.0, jit_compile=False)
