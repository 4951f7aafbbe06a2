//! Adam, on a slice.

use crate::Real;

/// Adam with bias correction (Kingma and Ba, ICLR 2015) and decoupled weight decay (Loshchilov
/// and Hutter, ICLR 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Decay of the first moment, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the second moment, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of a weight, times the learning rate, that it loses in a step; 0 for none. Only the
    /// matrices of ordinary layers and embeddings lose it: a bias has nothing to overfit with, and a
    /// non-negative weight is stored through softplus, where zero is not small.
    pub decay: f64,
}

impl Default for Adam {
    /// 0.9, 0.999, 1e-8 and no decay, as in PyTorch.
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            decay: 0.0,
        }
    }
}

/// The constants of one step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<T> {
    beta1: T,
    beta2: T,
    epsilon: T,
    /// `rate / (1 - beta1^t)`.
    rate: T,
    /// `1 / sqrt(1 - beta2^t)`.
    root: T,
    keep: T,
}

impl Adam {
    /// Constants of step `t` (the first is 1).
    pub(crate) fn step<T: Real>(&self, t: u64, rate: f64) -> Step<T> {
        let power = |beta: f64| 1.0 - beta.powf(t as f64);
        Step {
            beta1: T::of(self.beta1),
            beta2: T::of(self.beta2),
            epsilon: T::of(self.epsilon),
            rate: T::of(rate / power(self.beta1)),
            root: T::of(1.0 / power(self.beta2).sqrt()),
            keep: T::of(1.0 - rate * self.decay),
        }
    }
}

impl<T: Real> Step<T> {
    /// The step of weights that do not decay.
    pub(crate) fn without_decay(self) -> Self {
        Self {
            keep: T::ONE,
            ..self
        }
    }

    /// Decay alone.
    #[inline(always)]
    pub(crate) fn decay(&self, p: &mut [T]) {
        p.iter_mut().for_each(|p| *p *= self.keep);
    }

    /// `m = b1 m + (1-b1) g`; `v = b2 v + (1-b2) g^2`; `p -= rate m / (sqrt(v) root + eps)`.
    #[inline(always)]
    pub(crate) fn apply(&self, p: &mut [T], m: &mut [T], v: &mut [T], g: &[T]) {
        let (rest1, rest2) = (T::ONE - self.beta1, T::ONE - self.beta2);
        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
            *m = self.beta1 * *m + rest1 * g;
            *v = self.beta2 * *v + rest2 * g * g;
            *p = self.keep * *p - self.rate * *m / (v.root() * self.root + self.epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_step_moves_by_the_rate() {
        let (mut p, mut m, mut v) = ([1.0f64, 1.0], [0.0; 2], [0.0; 2]);
        Adam::default()
            .step(1, 0.01)
            .apply(&mut p, &mut m, &mut v, &[3.0, -0.5]);
        assert!((p[0] - 0.99).abs() < 1e-9 && (p[1] - 1.01).abs() < 1e-9);
    }

    #[test]
    fn second_step_by_hand() {
        let adam = Adam {
            decay: 0.1,
            ..Adam::default()
        };
        let (mut p, mut m, mut v) = ([1.0f64], [0.0], [0.0]);
        adam.step(1, 0.01).apply(&mut p, &mut m, &mut v, &[2.0]);
        adam.step(2, 0.01).apply(&mut p, &mut m, &mut v, &[1.0]);
        let first = 1.0 * (1.0 - 0.001) - 0.01 * 2.0 / (2.0 + 1e-8);
        let m2 = (0.9 * 0.2 + 0.1) / (1.0 - 0.81);
        let v2: f64 = (0.999 * 0.004 + 0.001) / (1.0 - 0.999f64.powi(2));
        let second = first * 0.999 - 0.01 * m2 / (v2.sqrt() + 1e-8);
        assert!((p[0] - second).abs() < 1e-12);
    }
}
