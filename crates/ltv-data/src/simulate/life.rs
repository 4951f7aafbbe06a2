//! What a user does: on which days, for how long, at what value.

use super::{
    calendar::{Calendar, DayKind},
    person::{Kind, Person, cents, logistic, normal},
};
use ltv_core::Day;
use rand::{Rng, RngExt};

/// A user's activity on one day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// The day.
    pub day: Day,
    /// Second of the day, `0..86400`.
    pub second: u32,
    /// Minutes watched, positive, in hundredths.
    pub minutes: f64,
    /// Videos watched, at least 1.
    pub videos: i32,
    /// Revenue, in cents; mostly 0.
    pub value: f64,
}

/// How a type lives.
struct Habits {
    /// Daily hazard of leaving.
    hazard: f64,
    /// Daily rate of coming back.
    back: f64,
    /// Log odds of activity on a day; for weekly users, on their days.
    active: f64,
    /// Log odds on other days.
    otherwise: f64,
    /// How much regularity differs, in log odds.
    spread: f64,
    /// Log minutes.
    minutes: f64,
}

fn habits(kind: Kind) -> Habits {
    let h = |hazard, back, active, otherwise, spread, minutes| Habits {
        hazard,
        back,
        active,
        otherwise,
        spread,
        minutes,
    };
    match kind {
        Kind::Bounced => h(0.55, 0.000_25, -1.6, -1.6, 0.3, 1.6),
        Kind::Casual => h(1.0 / 45.0, 0.001_5, -1.25, -1.25, 0.8, 2.3),
        Kind::Weekly => h(1.0 / 260.0, 0.003, 1.4, -2.8, 0.5, 2.6),
        Kind::Loyal => h(1.0 / 500.0, 0.004, 2.9, 2.9, 1.6, 3.0),
    }
}

/// Hazard of a life after a resurrection.
const SECOND_LIFE_HAZARD: f64 = 1.0 / 14.0;

/// All events of a user who registers `registered` days after the calendar's start.
pub(super) fn events(
    person: &Person,
    registered: i32,
    calendar: &Calendar,
    rng: &mut impl Rng,
) -> Vec<Event> {
    let habits = habits(person.kind);
    let days = &calendar.days[registered as usize..];
    let chances = Chances::new(person, &habits, rng);
    let again = Chances::new(person, &self::habits(Kind::Casual), rng);
    let mut events = vec![];
    let (mut start, mut first_life) = (0, true);
    while start < days.len() {
        let (hazard, chances) = match first_life {
            true => (habits.hazard * person.frailty, &chances),
            false => (SECOND_LIFE_HAZARD * person.frailty, &again),
        };
        let end = start
            .saturating_add(1 + geometric(hazard, rng))
            .min(days.len());
        for (d, &kind) in days.iter().enumerate().take(end).skip(start) {
            if d == start || rng.random::<f64>() < chances.of(kind, d - start) {
                let day = calendar.start + registered + d as i32;
                events.push(event(person, &habits, day, kind, d, rng));
            }
        }
        first_life = false;
        start = end.saturating_add(geometric(habits.back, rng));
    }
    events
}

/// Whole days before something of daily probability `p` happens.
fn geometric(p: f64, rng: &mut impl Rng) -> usize {
    let p = p.clamp(1e-9, 0.95);
    // 1 - u is in (0, 1].
    let days = (1.0 - rng.random::<f64>()).ln() / (-p).ln_1p();
    days.min(1e6) as usize
}

/// A user's probability of activity, for each kind of day.
struct Chances {
    /// Whether each weekday is one of the user's own.
    own: [bool; 7],
    /// By own day, weekend, holiday.
    table: [[[f64; 2]; 2]; 2],
    /// Log odds behind `table`; with a novelty effect, for casual users.
    odds: [[[f64; 2]; 2]; 2],
    novelty: bool,
}

impl Chances {
    fn new(person: &Person, habits: &Habits, rng: &mut impl Rng) -> Self {
        let (first, second) = (rng.random_range(0..7), rng.random_range(0..7));
        let own = std::array::from_fn(|day| day == first || day == second);
        let personal = 0.6 * person.engagement + habits.spread * person.regularity;
        let flag = |on: usize, by: f64| if on == 1 { by } else { 0.0 };
        let odds = std::array::from_fn(|o| {
            let base = if o == 1 {
                habits.active
            } else {
                habits.otherwise
            };
            std::array::from_fn(|w| {
                std::array::from_fn(|h| base + personal + flag(w, 0.25) + flag(h, 0.5))
            })
        });
        let table = odds.map(|a: [[f64; 2]; 2]| a.map(|b| b.map(logistic)));
        Self {
            own,
            table,
            odds,
            novelty: person.kind == Kind::Casual,
        }
    }

    fn of(&self, day: DayKind, age: usize) -> f64 {
        let own = usize::from(self.own[usize::from(day.weekday)]);
        let (weekend, holiday) = (usize::from(day.weekend), usize::from(day.holiday));
        if self.novelty && age < 14 {
            let fresh = 1.2 * (-(age as f64) / 4.0).exp();
            return logistic(self.odds[own][weekend][holiday] + fresh);
        }
        self.table[own][weekend][holiday]
    }
}

fn event(
    person: &Person,
    habits: &Habits,
    day: Day,
    kind: DayKind,
    age: usize,
    rng: &mut impl Rng,
) -> Event {
    let grown = person.trend * (age.min(14) as f64) / 7.0;
    let season = 0.15 * f64::from(u8::from(kind.weekend)) + 0.2 * f64::from(u8::from(kind.holiday));
    let traits = 0.5 * person.engagement + 0.2 * person.satisfaction;
    let log_minutes = habits.minutes + traits + grown + season + 0.55 * normal(rng);
    let minutes = cents(log_minutes.exp()).clamp(0.05, 1000.0);
    let videos = minutes * (0.25 * normal(rng) - person.video_length).exp();
    Event {
        day,
        second: rng.random_range(0..86_400),
        minutes,
        videos: videos.round().clamp(1.0, 10_000.0) as i32,
        value: payment(person, rng),
    }
}

/// What the user pays on an active day: Pareto with exponent 1.6, at most 20,000.
fn payment(person: &Person, rng: &mut impl Rng) -> f64 {
    if person.pays == 0.0 || rng.random::<f64>() >= person.pays {
        return 0.0;
    }
    let tail = (1.0 - rng.random::<f64>()).powf(-1.0 / 1.6);
    cents((person.spend.exp() * tail).clamp(0.1, 20_000.0))
}
