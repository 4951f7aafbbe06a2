//! The report page as text: what is in it, what is not, and that it stays the same.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod made_up;

use ltv_eval::page::{
    Cell, Comparison, Curve, CurvesOfModels, Dot, HorizonPart, Lines, MetricDots, Part,
    ReportInput, Section, Table, page,
};
use std::collections::BTreeSet;

/// Values of an attribute in the markup, scripts left aside.
fn attribute<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let markup = html.split("<script").next().unwrap();
    let ends = markup.split(&start).skip(1);
    ends.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Options of the charts.
fn options(html: &str) -> serde_json::Map<String, serde_json::Value> {
    let start = "<script type=\"application/json\" id=\"options\">";
    let json = html
        .split(start)
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    serde_json::from_str(json).unwrap()
}

#[test]
fn every_chart_is_there_once_with_words_and_numbers() {
    let html = page(&made_up::demo());
    let charts = attribute(&html, "data-chart");
    let unique: BTreeSet<&str> = charts.iter().copied().collect();
    assert_eq!(unique.len(), charts.len(), "{charts:?}");
    let drawn: BTreeSet<String> = options(&html).keys().cloned().collect();
    assert_eq!(unique, drawn.iter().map(String::as_str).collect());
    for kind in [
        "lorenz",
        "curves",
        "gain",
        "calibration",
        "quantiles",
        "labels",
        "totals",
    ] {
        for days in made_up::DAYS {
            assert!(
                unique.contains(format!("{kind}-{days}").as_str()),
                "{kind} {days}"
            );
        }
    }
    for kind in [
        "order",
        "training",
        "importance",
        "dots",
        "dots-16",
        "totals-365-2",
    ] {
        assert!(unique.contains(kind), "{kind}");
    }
    let ids = attribute(&html, "id");
    assert_eq!(
        ids.iter().collect::<BTreeSet<_>>().len(),
        ids.len(),
        "an id stands twice"
    );
    let labels = attribute(&html, "aria-label");
    let with_numbers = labels
        .iter()
        .filter(|l| l.contains(|c: char| c.is_ascii_digit()));
    assert!(with_numbers.count() >= charts.len());
    assert_eq!(
        html.matches("<summary>Show the numbers").count(),
        charts.len()
    );
    for target in attribute(&html, "href")
        .iter()
        .filter_map(|h| h.strip_prefix('#'))
    {
        assert!(ids.contains(&target), "no place for the link to {target}");
    }
}

#[test]
fn nothing_is_fetched() {
    let html = page(&made_up::demo());
    let policy = "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
                  'unsafe-inline'; script-src 'unsafe-inline'; img-src data:;";
    assert!(html.contains(policy));
    assert_eq!(attribute(&html, "src"), Vec::<&str>::new());
    for link in attribute(&html, "href") {
        assert!(link.starts_with('#') || link == "data:,", "{link}");
    }
    let styles = html.split("</style>").next().unwrap();
    assert!(!styles.contains("@import") && !styles.contains("url("));
    // Names of XML vocabularies, which are never fetched, are the only addresses in the scripts.
    let addresses = html.match_indices("http").map(|(at, _)| &html[at..]);
    for address in addresses.filter(|a| a.starts_with("http://") || a.starts_with("https://")) {
        assert!(
            address.starts_with("http://www.w3.org/"),
            "{}",
            &address[..60]
        );
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(page(&made_up::demo()), page(&made_up::demo()));
}

#[test]
fn a_large_comparison_stays_under_three_megabytes() {
    let names: Vec<String> = (1..=20).map(|i| format!("model number {i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let html = page(&made_up::world(1500, &names, 50).report());
    println!(
        "a large page: {} bytes; the demo: {}",
        html.len(),
        page(&made_up::demo()).len()
    );
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
    assert!(page(&made_up::demo()).len() < 1_200_000);
}

#[test]
fn hostile_names_stay_text() {
    let html = page(&made_up::hostile());
    assert!(!html.contains("<script>window.broken"));
    assert!(!html.contains("<img src=x"));
    assert!(!html.contains("<i>€"));
    // Options, library, script of the page.
    assert_eq!(html.matches("<script").count(), 3);
    assert_eq!(html.matches("</script").count(), 3);
    let series = &options(&html)["gain-30"]["series"];
    let names: Vec<&str> = (2..6)
        .map(|i| series[i]["name"].as_str().unwrap())
        .collect();
    assert!(names[0].starts_with("</script>") && names[2] == "__proto__");
}

#[test]
fn what_is_absent_is_named_with_its_reason() {
    let input = ReportInput {
        title: "Empty".to_owned(),
        training: Part::absent("the model came without its <record>"),
        horizons: vec![HorizonPart {
            days: 30,
            curves: Part::Given(vec![]),
            ..HorizonPart::default()
        }],
        ..ReportInput::default()
    };
    let html = page(&input);
    assert_eq!(attribute(&html, "data-chart"), Vec::<&str>::new());
    assert!(html.contains("<li>Training curves: the model came without its &lt;record&gt;.</li>"));
    assert!(html.contains("<li>Lorenz curves, 30 days: there is nothing to draw.</li>"));
}

#[test]
fn a_set_has_one_colour_in_every_chart() {
    let html = page(&made_up::demo());
    let mut colours = BTreeSet::new();
    for option in options(&html).values() {
        for series in option["series"].as_array().unwrap() {
            if series["name"] == "ziln" {
                colours.insert(series["color"].as_str().unwrap().to_owned());
            }
        }
    }
    assert_eq!(colours.into_iter().collect::<Vec<_>>(), ["@c3"]);
}

#[test]
fn a_comparison_shows_its_tables_points_and_curves() {
    let demo = made_up::demo();
    let curves = demo.horizons[1].curves.given().unwrap().clone();
    let input = ReportInput {
        title: "Comparison".to_owned(),
        comparison: Part::Given(Comparison {
            tables: vec![Table {
                caption: "Models".to_owned(),
                note: "Mean and sd of five seeds.".to_owned(),
                header: vec![Cell::new("Model"), Cell::new("NRMSE")],
                rows: vec![vec![Cell::new("odmn"), Cell::new("1.92").detail("± 0.04")]],
            }],
            dots: vec![MetricDots {
                title: "NRMSE, 90 days".to_owned(),
                axis: "NRMSE".to_owned(),
                note: "lower is better".to_owned(),
                target: None,
                rows: vec![Dot {
                    set: "odmn".to_owned(),
                    value: 1.92,
                    interval: Some((1.69, 2.12)),
                }],
            }],
            curves: vec![CurvesOfModels { days: 90, curves }],
        }),
        ..ReportInput::default()
    };
    let html = page(&input);
    assert_eq!(attribute(&html, "data-chart"), ["dots", "curves-90"]);
    assert!(html.contains("<td>1.92<small>± 0.04</small>"));
    assert!(html.contains("Lower is better. odmn: 1.92 (1.69 to 2.12)."));
}

#[test]
fn sections_of_ones_own_have_lines_and_tables() {
    let curve = |set: &str, values: &[f64]| Curve {
        set: set.to_owned(),
        values: values.to_vec(),
    };
    let lines = Lines {
        title: "NRMSE, 90 days".to_owned(),
        note: "lower is better".to_owned(),
        places: "as-of date".to_owned(),
        names: ["2020-01-01", "2021-01-01"].map(str::to_owned).to_vec(),
        axis: "NRMSE".to_owned(),
        target: Some(1.0),
        curves: vec![
            curve("odmn", &[1.92, 2.5]),
            curve("<b>ziln", &[f64::NAN, 3.0]),
            curve("nothing", &[f64::NAN, f64::NAN]),
        ],
    };
    let section = Section {
        id: "over-time".to_owned(),
        link: "Time".to_owned(),
        title: "Over time".to_owned(),
        lead: "Which date is <judged>.".to_owned(),
        lines: vec![
            lines.clone(),
            Lines {
                curves: vec![],
                ..lines
            },
        ],
        tables: vec![Table {
            caption: "PSI".to_owned(),
            header: vec![Cell::new("Feature")],
            ..Table::default()
        }],
    };
    let html = page(&ReportInput {
        sections: vec![section],
        ..ReportInput::default()
    });
    assert_eq!(attribute(&html, "data-chart"), ["lines"]);
    assert!(html.contains("Lower is better. odmn: 1.92 at 2020-01-01, 2.50 at 2021-01-01."));
    assert!(html.contains("Which date is &lt;judged&gt;.") && html.contains("href=\"#over-time\""));
    let option = &options(&html)["lines"];
    let series = option["series"].as_array().unwrap();
    assert_eq!(series.len(), 2, "a line without a value is not drawn");
    assert_eq!(series[1]["data"], serde_json::json!([null, 3]));
    assert_eq!(series[0]["markLine"]["data"][0]["yAxis"], 1);
    assert!(html.contains("<li>NRMSE, 90 days: there is nothing to draw.</li>"));
}
