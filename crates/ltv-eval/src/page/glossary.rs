//! What each metric means, and when it misleads.

use crate::metric::Metric;

/// A metric in words.
pub(crate) struct Entry {
    pub(crate) metric: Metric,
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) means: &'static str,
    /// When it misleads.
    pub(crate) beware: &'static str,
}

const fn entry(
    metric: Metric,
    name: &'static str,
    means: &'static str,
    beware: &'static str,
) -> Entry {
    Entry {
        metric,
        name,
        means,
        beware,
    }
}

/// The columns of the tables of metrics, in order.
pub(crate) const ENTRIES: [Entry; 16] = [
    entry(
        Metric::NRMSE,
        "NRMSE",
        "Root of the mean squared error, divided by the mean actual value. Lower is better.",
        "A few very valuable users decide it; two models a few percent apart are often level.",
    ),
    entry(
        Metric::NMAE,
        "NMAE",
        "Mean absolute error, divided by the mean actual value. Lower is better.",
        "Where most users are worth 0, predicting 0 for everybody scores 1 and is hard to beat. The \
         median wins it, the mean does not, and budgets need the mean.",
    ),
    entry(
        Metric::AMBE,
        "AMBE",
        "Absolute difference of mean prediction and mean actual value, in units of value. Lower is \
         better.",
        "Errors of opposite sign cancel: look at the deciles and cohorts too.",
    ),
    entry(
        Metric::Bias,
        "Bias",
        "Mean prediction minus mean actual value: positive when predictions are too high.",
        "Within twice its standard error of 0 it is noise.",
    ),
    entry(
        Metric::CalibrationRatio,
        "Sum ratio",
        "Total prediction divided by total actual value: 1 is exact, 1.1 promises 10 % too much.",
        "It can be 1 while the top is far too low and the bottom too high.",
    ),
    entry(
        Metric::DecileMape,
        "Decile MAPE",
        "Mean relative error of the means of ten groups by prediction. Lower is better.",
        "The lowest deciles are worth little and weigh as much as the top one.",
    ),
    entry(
        Metric::MutualGini,
        "Mutual Gini",
        "Area between the Lorenz curves of actual values and of predictions, each sorted by itself: \
         is value as concentrated as predicted? Lower is better.",
        "It is blind to who is who: the actual values dealt out to random users score a perfect 0. It \
         is blind to scale as well. Read it only with normalised Gini and a bias.",
    ),
    entry(
        Metric::NormGini,
        "Norm. Gini",
        "How well users are ranked: 1 for the perfect order, 0 for chance. Higher is better.",
        "It says nothing about amounts: ten times every prediction scores the same.",
    ),
    entry(
        Metric::Spearman,
        "Spearman",
        "Correlation of ranks over all users. Higher is better.",
        "All users count alike; where most are worth 0, ties hold it down for every model.",
    ),
    entry(
        Metric::Auc,
        "AUC > 0",
        "Chance that a user with value is predicted above one without. Higher is better.",
        "It does not see how much a user is worth.",
    ),
    entry(
        Metric::LabelGini,
        "Gini, actual",
        "How concentrated actual value is: 0 when all are worth the same, near 1 when few hold all.",
        "A fact about users, not a merit of a model.",
    ),
    entry(
        Metric::PredGini,
        "Gini, predicted",
        "How concentrated predictions are. Closer to the Gini of actual values is better.",
        "Means are less spread than what they are means of: a good prediction of the mean is below it.",
    ),
    entry(
        Metric::Capture1,
        "Top 1 %",
        "Share of all value held by the 1 % of users predicted highest. Higher is better.",
        "On few users it jumps; the best possible share stands below it.",
    ),
    entry(
        Metric::Capture5,
        "Top 5 %",
        "Share of all value held by the 5 % of users predicted highest. Higher is better.",
        "The best possible share stands below it.",
    ),
    entry(
        Metric::Capture10,
        "Top 10 %",
        "Share of all value held by the 10 % of users predicted highest. Higher is better.",
        "The best possible share stands below it.",
    ),
    entry(
        Metric::Capture20,
        "Top 20 %",
        "Share of all value held by the 20 % of users predicted highest. Higher is better.",
        "The best possible share stands below it.",
    ),
];

/// The metric in words, if it has an entry of its own.
pub(crate) fn find(metric: Metric) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.metric == metric)
}
