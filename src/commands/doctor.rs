//! `builder doctor`: what this machine or pod allows, what builds will use, and what to change to get more.

use std::collections::BTreeSet;

use engine::StorageDriver;
use sandbox::{Choice, Fact, Facts, Feature, ProbeSettings, Requested, Seccomp};
use serde_json::{Value, json};

use crate::args::{DoctorArgs, GlobalArgs};
use crate::error::Error;
use crate::settings::{Environment, StateDir};
use crate::stdout;

use super::images::table;

pub(super) fn run(args: &DoctorArgs, global: &GlobalArgs, environment: &Environment) -> Result<(), Error> {
    let state = StateDir::settle(global.root.as_deref(), environment)?;
    let facts = sandbox::probe(state.path(), &ProbeSettings::default())?;
    let choice = sandbox::choose(&facts, Requested::default());
    let diagnosis = Diagnosis { facts: &facts, state: &state, choice: choice.as_ref() };
    let printed =
        if args.json { stdout::print_json(&diagnosis.json()) } else { stdout::print(&diagnosis.text()) };
    printed?;
    choice.and_then(|choice| choice.isolation).map(drop).map_err(|_| Error::Unfit)
}

struct Diagnosis<'a> {
    facts: &'a Facts,
    state: &'a StateDir,
    choice: Result<&'a Choice, &'a sandbox::Error>,
}

impl Diagnosis<'_> {
    fn text(&self) -> String {
        let facts = Feature::ALL.map(|feature| cells(feature, self.facts.fact(feature)));
        let used = match self.choice {
            Ok(choice) => format!("builds use {choice}, storage driver: {}", driver(choice)),
            Err(error) => error.to_string(),
        };
        let cures = cures(self.facts);
        let advice = if cures.is_empty() {
            String::new()
        } else {
            format!("\nto get more:\n- {}\n", cures.join("\n- "))
        };
        format!("{}\n{}\n{used}\n{advice}", table(&self.surroundings()), table(&facts))
    }

    fn surroundings(&self) -> Vec<[String; 2]> {
        let facts = self.facts;
        let kept = if matches!(self.state, StateDir::Kept(_)) { "" } else { " (removed at the end)" };
        let rows = [
            ("builder", env!("CARGO_PKG_VERSION").to_owned()),
            ("kernel", facts.kernel.clone()),
            (
                "user",
                format!("uid {}, gid {}, in a namespace of {} ids", facts.uid, facts.gid, facts.id_map.len()),
            ),
            ("capabilities", facts.held.effective.to_string()),
            ("bounding set", bounding(facts)),
            ("no_new_privs", if facts.no_new_privs { "yes" } else { "no" }.to_owned()),
            ("seccomp", seccomp(facts.seccomp).to_owned()),
            ("store", format!("{}{kept}", self.state.path().display())),
        ];
        rows.map(|(name, value)| [name.to_owned(), value]).into()
    }

    fn json(&self) -> Value {
        let facts = self.facts;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "kernel": facts.kernel,
            "uid": facts.uid,
            "gid": facts.gid,
            "ids": facts.id_map.len(),
            "capabilities": facts.held.effective.to_string(),
            "bounding": facts.held.bounding.to_string(),
            "no_new_privs": facts.no_new_privs,
            "seccomp": seccomp(facts.seccomp),
            "store": self.state.path(),
            "facts": Feature::ALL.map(|feature| fact_json(feature, facts.fact(feature))),
            "isolation": self.choice.ok().and_then(|choice| choice.isolation.as_ref().ok()).map(ToString::to_string),
            "identity": self.choice.ok().map(|choice| choice.identity.to_string()),
            "storage_driver": self.choice.ok().map(driver),
            "error": self.choice.map_or_else(Some, |choice| choice.isolation.as_ref().err()).map(ToString::to_string),
            "cures": cures(facts),
        })
    }
}

fn cells(feature: Feature, fact: &Fact) -> [String; 3] {
    let (answer, detail) = match fact {
        Fact::Allowed(detail) => ("yes", detail.to_string()),
        Fact::Denied(denial) => ("no", denial.to_string()),
    };
    [feature.to_string(), answer.to_owned(), detail]
}

fn fact_json(feature: Feature, fact: &Fact) -> Value {
    let name = feature.to_string();
    match fact {
        Fact::Allowed(detail) => json!({ "name": name, "allowed": true, "detail": detail.to_string() }),
        Fact::Denied(denial) => json!({
            "name": name,
            "allowed": false,
            "call": denial.call,
            "errno": denial.errno.map(|errno| errno.to_string()),
            "why": denial.why,
            "cure": denial.cure,
        }),
    }
}

/// What to change and for what, each thing once, in the order of what is gained.
fn cures(facts: &Facts) -> Vec<String> {
    let ways = [Feature::RealRoot, Feature::OwnMap, Feature::SubordinateMap];
    let many_ids = ways.into_iter().any(|way| facts.fact(way).is_allowed());
    let mut told = BTreeSet::new();
    let mut cures = Vec::new();
    // One way to have many ids is enough.
    for feature in Feature::ALL.into_iter().filter(|feature| !(many_ids && ways.contains(feature))) {
        let cure = facts.denial(feature).and_then(|denial| denial.cure.as_deref());
        if let Some(cure) = cure.filter(|cure| told.insert(*cure)) {
            cures.push(format!("{feature}: {cure}"));
        }
    }
    cures
}

fn bounding(facts: &Facts) -> String {
    let held = facts.held;
    if held.bounding == held.effective { "the same".to_owned() } else { held.bounding.to_string() }
}

fn driver(choice: &Choice) -> &'static str {
    if StorageDriver::best(choice) == StorageDriver::Overlay { "overlay" } else { "vfs" }
}

fn seccomp(state: Seccomp) -> &'static str {
    match state {
        Seccomp::Disabled => "no filter",
        Seccomp::Filtered => "filtered",
    }
}
