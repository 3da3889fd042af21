"""Optimizers around an optimizer."""
import tensorflow as tf
from tensorpack import tfv1
from tensorpack.tfutils import optimizer
from tensorpack.tfutils.gradproc import FilterNoneGrad


class AccumulatedOptimizer(optimizer.AccumGradOptimizer):
    """
    Sums the gradients of some steps and applies them at the last of these.

    tensorpack's own reads its counter in no defined order with counting, so that some updates come a step late.
    """

    _num_towers = 0    # that have been given an update so far

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        grads, variables = zip(*FilterNoneGrad().process(grads_and_vars))
        # tensorpack keeps what is named so in step with the first tower's
        scope = f"tower{self._num_towers}/" if self._num_towers else ""
        self._num_towers += 1
        with tf.control_dependencies(None):
            sums = self._create_accum_slots(variables)
            counter = tfv1.get_variable(f"{scope}{self._name}/counter", initializer=0, trainable=False)

        with tf.control_dependencies([total.assign_add(grad) for total, grad in zip(sums, grads)]):
            count = tf.identity(counter.assign_add(1))

        def update():
            totals = [total.read_value() for total in sums]
            with tf.control_dependencies([self._opt.apply_gradients(list(zip(totals, variables)))]):
                return tf.group(*[total.assign(tf.zeros_like(total)) for total in sums])

        return tf.cond(tf.equal(count % self._niter, 0), update, tf.no_op, name=name).op


class LossScaledOptimizer(optimizer.ProxyOptimizer):
    """
    Dynamic loss scaling (Micikevicius et al. 2018): the loss is multiplied by a factor, so that float16 gradients do
    not vanish, and gradients are divided by it. A step whose gradients overflow is left out and halves the factor; it
    is doubled after some steps without one.

    Args:
        opt (Optimizer): takes the gradients of the loss itself
        initial (float): the factor at the start
        period (int): steps without overflow after which it is doubled
    """

    def __init__(self, opt, initial=2.0 ** 15, period=1000):
        super().__init__(opt, "LossScale")
        self._initial, self._period = initial, period
        self._states = []    # of the towers, which see the same gradients and so stay alike

    def compute_gradients(self, loss, *args, **kwargs):
        with tfv1.variable_scope(self._name):
            scale = tfv1.get_variable("scale", initializer=self._initial, trainable=False)
            num_good = tfv1.get_variable("num_good", initializer=0, trainable=False)
        factor = scale.read_value()
        self._states.append((scale, num_good, factor))
        grads = FilterNoneGrad().process(self._opt.compute_gradients(loss * factor, *args, **kwargs))
        return [(tf.convert_to_tensor(grad) / factor, variable) for grad, variable in grads]

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        scale, num_good, factor = self._states.pop(0)
        is_finite = tf.math.is_finite(tf.linalg.global_norm([grad for grad, _ in grads_and_vars]))

        def update():
            is_due = tf.equal(num_good.assign_add(1) % self._period, 0)
            return tf.group(self._opt.apply_gradients(grads_and_vars),
                            scale.assign(tf.where(is_due, factor * 2, factor)))

        def leave_out():
            return tf.group(num_good.assign(0), scale.assign(tf.maximum(factor / 2, 1.0)))

        return tf.cond(is_finite, update, leave_out, name=name).op
