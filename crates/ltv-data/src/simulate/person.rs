//! Who a user is: profile, and the latent traits that the platform never sees.

use super::{
    calendar::Calendar,
    life::{self, Event},
};
use ltv_core::Day;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// A simulated user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// 1 for the first user.
    pub id: i64,
    /// Day of registration; that of the first event.
    pub reg_day: Day,
    /// Where the user came from.
    pub channel: &'static str,
    /// What the user holds in the hand.
    pub device: &'static str,
    /// Size of the user's city, `tier-1` the largest.
    pub city_tier: &'static str,
    /// What acquiring the user cost, in the currency of `value`.
    pub cost: f64,
    /// One for each active day, ascending.
    pub events: Vec<Event>,
}

/// A latent type of user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bounced,
    Casual,
    Weekly,
    Loyal,
}

/// What drives a user's behaviour.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) kind: Kind,
    /// `e`: how much, how often.
    pub(super) engagement: f64,
    /// `s`: how long.
    pub(super) satisfaction: f64,
    /// Factor of the hazard of leaving.
    pub(super) frailty: f64,
    /// `r`: how regularly, in log odds of activity.
    pub(super) regularity: f64,
    /// Change of log minutes per week over the first two weeks.
    pub(super) trend: f64,
    /// Log of the minutes of a watched video.
    pub(super) video_length: f64,
    /// Share of active days with a payment; 0 for most users.
    pub(super) pays: f64,
    /// Log of the payments' scale.
    pub(super) spend: f64,
}

/// Name, price, and the weights of the types for each channel.
struct Channel {
    name: &'static str,
    weight: f64,
    /// Growth of the log weight per year.
    growth: f64,
    cost: f64,
    kinds: [f64; 4],
    devices: [f64; 4],
    /// Log of the hazard of leaving.
    hazard: f64,
}

const CHANNELS: [Channel; 5] = [
    Channel {
        name: "pre-install",
        weight: 0.25,
        growth: 0.0,
        cost: 0.60,
        kinds: [0.35, 0.1, 0.0, -0.3],
        devices: [0.5, 0.35, 0.15, 0.0],
        hazard: 0.25,
    },
    Channel {
        name: "app-store",
        weight: 0.30,
        growth: -0.1,
        cost: 0.0,
        kinds: [-0.45, 0.0, 0.2, 0.5],
        devices: [0.15, 0.25, 0.2, 0.4],
        hazard: -0.35,
    },
    Channel {
        name: "fission",
        weight: 0.15,
        growth: 0.0,
        cost: 0.35,
        kinds: [0.15, 0.0, 0.1, 0.1],
        devices: [0.45, 0.35, 0.1, 0.1],
        hazard: 0.0,
    },
    Channel {
        name: "ads-a",
        weight: 0.20,
        growth: 0.0,
        cost: 2.40,
        kinds: [-0.1, 0.1, 0.0, 0.15],
        devices: [0.25, 0.3, 0.2, 0.25],
        hazard: -0.1,
    },
    Channel {
        name: "ads-b",
        weight: 0.10,
        growth: 0.3,
        cost: 1.50,
        kinds: [0.55, 0.1, -0.1, -0.6],
        devices: [0.4, 0.3, 0.1, 0.2],
        hazard: 0.6,
    },
];

const DEVICES: [&str; 4] = ["android-low", "android-mid", "android-high", "ios"];
/// Types by device.
const DEVICE_KINDS: [[f64; 4]; 4] = [
    [0.2, 0.0, 0.0, -0.2],
    [0.0; 4],
    [-0.1, 0.0, 0.0, 0.2],
    [-0.15, 0.05, 0.1, 0.05],
];
/// Log of the hazard of leaving, by device.
const DEVICE_HAZARDS: [f64; 4] = [0.2, 0.0, -0.15, -0.2];
/// Log odds of ever paying, by device.
const DEVICE_PAYS: [f64; 4] = [-0.6, 0.0, 0.5, 1.0];

const CITIES: [&str; 4] = ["tier-1", "tier-2", "tier-3", "tier-4"];
const CITY_WEIGHTS: [f64; 4] = [0.15, 0.25, 0.3, 0.3];
/// Types by city tier: smaller towns stay longer.
const CITY_KINDS: [[f64; 4]; 4] = [
    [0.1, 0.0, 0.1, -0.2],
    [0.0; 4],
    [0.0, 0.0, 0.0, 0.1],
    [-0.05, 0.0, 0.0, 0.15],
];

/// Log weights of bounced, casual, weekly, loyal, and how traits and years move them.
const BASE: [f64; 4] = [0.1, 0.0, -1.3, -1.3];
const BY_ENGAGEMENT: [f64; 4] = [-0.5, 0.0, 0.1, 0.7];
const BY_SATISFACTION: [f64; 4] = [-0.3, 0.0, 0.2, 0.5];
const BY_YEAR: [f64; 4] = [0.12, 0.0, -0.08, -0.2];

impl User {
    pub(super) fn draw(index: u64, calendar: &Calendar, rng: &mut impl Rng) -> Self {
        let registered = calendar.registration(rng.random());
        let years = calendar.years(registered);
        let weights = CHANNELS
            .each_ref()
            .map(|c| c.weight * (c.growth * years).exp());
        let channel = &CHANNELS[pick(&weights, rng)];
        let device = pick(&channel.devices, rng);
        let city = pick(&CITY_WEIGHTS, rng);
        let noise: f64 = normal(rng);
        let person = Person::draw(channel, device, city, years, rng);
        Self {
            id: index as i64 + 1,
            reg_day: calendar.start + registered,
            channel: channel.name,
            device: DEVICES[device],
            city_tier: CITIES[city],
            cost: cents(channel.cost * (0.25 * noise).exp()),
            events: life::events(&person, registered, calendar, rng),
        }
    }
}

impl Person {
    fn draw(channel: &Channel, device: usize, city: usize, years: f64, rng: &mut impl Rng) -> Self {
        let [e, s] = [normal(rng), normal(rng)];
        let weights: [f64; 4] = std::array::from_fn(|k| {
            let profile = channel.kinds[k] + DEVICE_KINDS[device][k] + CITY_KINDS[city][k];
            let traits = BY_ENGAGEMENT[k] * e + BY_SATISFACTION[k] * s + BY_YEAR[k] * years;
            (BASE[k] + profile + traits).exp()
        });
        let kind = [Kind::Bounced, Kind::Casual, Kind::Weekly, Kind::Loyal][pick(&weights, rng)];
        let ever = logistic(-3.0 + 0.6 * e + DEVICE_PAYS[device]);
        let payer = rng.random::<f64>() < ever;
        let share = logistic(-2.6 + 0.5 * normal(rng));
        Self {
            kind,
            engagement: e,
            satisfaction: s,
            frailty: (channel.hazard + DEVICE_HAZARDS[device] - 0.55 * s - 0.2 * e).exp(),
            regularity: normal(rng),
            trend: 0.45 * s + 0.1 * normal(rng),
            video_length: -0.7 + 0.35 * s + 0.2 * normal(rng),
            pays: if payer { share } else { 0.0 },
            spend: 0.8 * normal(rng),
        }
    }
}

/// An index drawn in proportion to its weight.
fn pick<const N: usize>(weights: &[f64; N], rng: &mut impl Rng) -> usize {
    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (i, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return i;
        }
    }
    N - 1
}

pub(super) fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

pub(super) fn logistic(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Rounded to hundredths, as money and minutes are written.
pub(super) fn cents(x: f64) -> f64 {
    (x * 100.0).round() / 100.0
}
