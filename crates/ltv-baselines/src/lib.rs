//! What a network has to beat: boosting, buy-till-you-die, RFM, simple rules.

pub mod btyd;
