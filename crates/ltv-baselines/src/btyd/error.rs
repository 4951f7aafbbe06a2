//! Why data cannot be fitted, or a fitted model cannot predict.

/// What can go wrong with buy-till-you-die models. Every message says what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BtydError {
    /// There is nothing to fit.
    #[error("no customers to fit: give at least one purchase history")]
    NoCustomers,
    /// No customer came back, so that nothing is known about rates.
    #[error(
        "none of {customers} customers has a repeat purchase, so that no purchase rate can be \
         estimated: observe them for longer or give older customers"
    )]
    NoRepeats {
        /// How many customers there are.
        customers: u64,
    },
    /// Nobody was observed for any time.
    #[error("all {customers} customers have age 0: observe them for at least one time unit")]
    ZeroAge {
        /// How many customers there are.
        customers: u64,
    },
    /// No customer has a purchase of positive value.
    #[error(
        "no customer has a purchase day of positive mean value, so that none can be estimated: \
         check the value column, or predict purchase days alone"
    )]
    NoSpend,
    /// A number that should be finite.
    #[error("{what} is {value}: give a finite number")]
    NotFinite {
        /// Which number.
        what: &'static str,
        /// What was given.
        value: f64,
    },
    /// Numbers that contradict each other.
    #[error(
        "a customer with {repeats} repeat purchases, the last at {recency}, of age {age}: {problem}"
    )]
    History {
        /// Repeat purchases.
        repeats: u32,
        /// Time of the last one.
        recency: f64,
        /// Age.
        age: f64,
        /// What is wrong and what would be right.
        problem: &'static str,
    },
    /// Options outside their range.
    #[error("{key} is {value}: {range}")]
    Option {
        /// Which one.
        key: &'static str,
        /// What was given.
        value: f64,
        /// What would be right.
        range: &'static str,
    },
    /// The likelihood has no maximum in reach.
    #[error(
        "the {model} likelihood has no maximum near {parameters:?} (largest slope {slope:.1e} \
         after {evaluations} evaluations): the customers are too few or too alike to tell the \
         parameters apart; give more customers, or set a penalty such as 0.001"
    )]
    NotConverged {
        /// The model.
        model: &'static str,
        /// Where the search ended, in the order of the model's fields.
        parameters: Vec<f64>,
        /// Largest absolute derivative of the objective by a logarithm of a parameter.
        slope: f64,
        /// How often the likelihood was evaluated.
        evaluations: u64,
    },
    /// A parameter that no fit can have.
    #[error(
        "the {model} model has {parameter} = {value}: a fit finds between {:.1e} and {:.1e}; fit it \
         again",
        range.0, range.1
    )]
    Parameter {
        /// The model.
        model: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// Its value.
        value: f64,
        /// Smallest and largest value that a fit can find.
        range: (f64, f64),
    },
    /// A spend distribution whose tail is too heavy for a mean.
    #[error(
        "the Gamma-Gamma model has q = {q}: the mean value of a customer who is not yet known \
         exists only for q > 1; cap the largest values and fit again, or set a penalty such as \
         0.001"
    )]
    NoMean {
        /// The parameter.
        q: f64,
    },
    /// A value label without a model of value.
    #[error("a value label needs a Gamma-Gamma model: fit one, or predict active days")]
    NoSpendModel,
    /// A dataset column that the model reads and the encoding lacks.
    #[error(
        "the encoding has no plain column '{column}', which buy-till-you-die models read: add it \
         to `plain`"
    )]
    Column {
        /// The column.
        column: &'static str,
    },
    /// An observation window of no days.
    #[error("the observation window has 0 days: give at least one")]
    Window,
}
