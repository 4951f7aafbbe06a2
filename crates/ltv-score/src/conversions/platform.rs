//! The platforms, and what each of them refuses.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Who reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Platform {
    /// Google Ads: conversions from clicks, CSV.
    GoogleAds,
    /// Google Ads: other values for conversions that were uploaded before, CSV.
    GoogleAdsRestatement,
    /// The Conversions API of Meta: bodies of requests, JSON.
    Meta,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::GoogleAds, Self::GoogleAdsRestatement, Self::Meta];

    /// As options and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GoogleAds => "google-ads",
            Self::GoogleAdsRestatement => "google-ads-restatement",
            Self::Meta => "meta",
        }
    }

    /// Days after which a conversion, or a click, is refused. Meta takes what happened in a shop for longer.
    pub(super) fn oldest(self, action_source: &str) -> i64 {
        match self {
            Self::GoogleAds => 90,
            Self::GoogleAdsRestatement => 54,
            Self::Meta if action_source == PHYSICAL_STORE => 62,
            Self::Meta => 7,
        }
    }

    /// Letters that the name of a conversion, or of an event, may have.
    pub(super) fn longest_name(self) -> usize {
        match self {
            Self::GoogleAds | Self::GoogleAdsRestatement => 100,
            Self::Meta => 50,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Events of this source may be up to 62 days old.
pub(super) const PHYSICAL_STORE: &str = "physical_store";
/// Events of this source need the user's browser and the page.
pub(super) const WEBSITE: &str = "website";

/// Where events may come from, for Meta. `app` and `business_messaging` need more than a user table has.
pub(super) const ACTION_SOURCES: [&str; 7] = [
    "system_generated",
    WEBSITE,
    PHYSICAL_STORE,
    "email",
    "phone_call",
    "chat",
    "other",
];

/// Events in one request to Meta.
pub(super) const BATCH: usize = 1000;

/// Why a user's value is not sent; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The status is none of those asked for.
    Status,
    /// The user table does not have the user.
    NotInUsers,
    /// The user did not agree, or nobody knows.
    NoConsent,
    /// No time of the conversion.
    NoTime,
    /// The conversion is later than the as-of date; of a restatement, not before it.
    InTheFuture,
    /// The platform takes no conversion, or click, as old.
    TooOld,
    /// Nothing by which the platform could know the user.
    NoIdentifier,
    /// The click id cannot be one.
    MalformedClickId,
    /// The conversion is not after the click.
    BeforeClick,
    /// The order id cannot be one.
    MalformedOrderId,
    /// The value is below the smallest one asked for.
    BelowMinValue,
    /// The first upload did not have the user.
    NotUploaded,
    /// The value is near that of the first upload.
    NotMoved,
    /// The value is 0, which Meta refuses, and after which Google restates nothing any more.
    ValueZero,
    /// Another user has the same click and time, or the same order id.
    Duplicate,
}

impl Reason {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Self; 15] = [
        Self::Status,
        Self::NotInUsers,
        Self::NoConsent,
        Self::NoTime,
        Self::InTheFuture,
        Self::TooOld,
        Self::NoIdentifier,
        Self::MalformedClickId,
        Self::BeforeClick,
        Self::MalformedOrderId,
        Self::BelowMinValue,
        Self::NotUploaded,
        Self::NotMoved,
        Self::ValueZero,
        Self::Duplicate,
    ];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Status => "of another status",
            Self::NotInUsers => "not in the user table",
            Self::NoConsent => "no consent",
            Self::NoTime => "no conversion time",
            Self::InTheFuture => "converted after the as-of date",
            Self::TooOld => "too old for the platform",
            Self::NoIdentifier => "no identifier",
            Self::MalformedClickId => "malformed click id",
            Self::MalformedOrderId => "malformed order id",
            Self::BeforeClick => "converted before the click",
            Self::ValueZero => "value 0",
            Self::BelowMinValue => "below the smallest value",
            Self::NotUploaded => "not in the first upload",
            Self::NotMoved => "value has not moved",
            Self::Duplicate => "duplicate",
        }
    }
}
