//! `[selection]`: its keys, the rules about them, and what they come to.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tidegate_control::selection::{Evidence, Place, Policy, Rule, Selection, Zone, Zones};
use tidegate_proto::{
    edge::{LABEL_LEN_MAX, LABELS_MAX, Labels, is_label},
    settings::SettingsError,
};

use super::{
    Config,
    check::{networks, refused, within},
};
use crate::answer::overflow::{Overflow, Target};

/// The most rules there may be.
const RULES_MAX: usize = 16;
/// The longest beginning of a path, in bytes.
const RULE_PATH_LEN_MAX: usize = 1_024;
const LANDING_DELAY_MAX: Duration = Duration::from_secs(30);

/// `[selection]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SelectionConfig {
    pub policy: String,
    pub redirectors: u32,
    #[serde(with = "humantime_serde")]
    pub landing_delay: Duration,
    pub window: f64,
    pub slow_start_reports: u32,
    pub late_intervals: f64,
    pub late_intervals_sticky: f64,
    pub late_share_max: f64,
    pub sticky_slack: f64,
    pub sticky_floor: f64,
    pub stream_share_max: f64,
    pub stream_share_from: u32,
    pub zone_label: String,
    pub zone_spill: f64,
    pub geoip_file: String,
    pub overflow: Vec<String>,
    pub overflow_at: f64,
    pub failure_evidence: bool,
    pub labels: Labels,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rule: Vec<RuleConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zone: Vec<ZoneConfig>,
}

/// `[[selection.rule]]`: what edges must carry for paths that begin so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RuleConfig {
    pub path: String,
    pub labels: Labels,
}

/// `[[selection.zone]]`: which clients are for the edges of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ZoneConfig {
    pub name: String,
    pub networks: Vec<String>,
    pub places: Vec<String>,
    pub next: Vec<String>,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        let selection = Selection::default();
        Self {
            policy: selection.policy.to_string(),
            redirectors: selection.redirectors,
            landing_delay: selection.landing_delay,
            window: selection.window,
            slow_start_reports: selection.slow_start_reports,
            late_intervals: selection.late_intervals,
            late_intervals_sticky: selection.late_intervals_sticky,
            late_share_max: selection.late_share_max,
            sticky_slack: selection.sticky_slack,
            sticky_floor: selection.sticky_floor,
            stream_share_max: selection.stream_share_max,
            stream_share_from: selection.stream_share_from,
            zone_label: selection.zone_label,
            zone_spill: selection.zone_spill,
            geoip_file: String::new(),
            overflow: Vec::new(),
            overflow_at: selection.overflow_at,
            failure_evidence: selection.failure_evidence.is_some(),
            labels: selection.labels,
            rule: Vec::new(),
            zone: Vec::new(),
        }
    }
}

impl Default for RuleConfig {
    fn default() -> Self {
        Self { path: "/".into(), labels: Labels::new() }
    }
}

impl Config {
    /// How edges are chosen. Its zones have no file to look in yet: `selection.geoip_file` is for
    /// whoever reads files.
    pub fn selection(&self) -> Result<Selection, SettingsError> {
        let selection = &self.selection;
        selection.check_figures()?;
        check_labels("selection.labels", &selection.labels)?;
        Ok(Selection {
            policy: selection.policy()?,
            redirectors: selection.redirectors,
            landing_delay: selection.landing_delay,
            window: selection.window,
            slow_start_reports: selection.slow_start_reports,
            late_intervals: selection.late_intervals,
            late_intervals_sticky: selection.late_intervals_sticky,
            late_share_max: selection.late_share_max,
            sticky_slack: selection.sticky_slack,
            sticky_floor: selection.sticky_floor,
            stream_share_max: selection.stream_share_max,
            stream_share_from: selection.stream_share_from,
            labels: selection.labels.clone(),
            rules: selection.rules()?,
            zone_label: selection.zone_label()?,
            zone_spill: selection.zone_spill,
            zones: selection.zones()?,
            overflow_at: selection.overflow_at,
            failure_evidence: selection.failure_evidence.then(|| Arc::new(Evidence::new())),
        })
    }

    /// `selection.overflow`
    pub fn overflow(&self) -> Result<Overflow, SettingsError> {
        let parse = |text: &String| {
            text.parse::<Target>()
                .map_err(|why| refused("selection.overflow", text, &why.to_string()))
        };
        self.selection.overflow.iter().map(parse).collect::<Result<_, _>>().map(Overflow::new)
    }
}

impl SelectionConfig {
    fn policy(&self) -> Result<Policy, SettingsError> {
        let text = &self.policy;
        text.parse().map_err(|why| refused("selection.policy", text, &format!("{why}")))
    }

    fn check_figures(&self) -> Result<(), SettingsError> {
        for (key, value, least, most) in [
            ("redirectors", self.redirectors.into(), 0.0, 64.0),
            ("window", self.window, 0.01, 10.0),
            ("slow_start_reports", self.slow_start_reports.into(), 0.0, 16.0),
            ("late_intervals", self.late_intervals, 1.05, 100.0),
            ("late_intervals_sticky", self.late_intervals_sticky, 1.05, 100.0),
            ("late_share_max", self.late_share_max, 0.0, 1.0),
            ("sticky_slack", self.sticky_slack, 0.0, 10.0),
            ("sticky_floor", self.sticky_floor, 0.0, 1.0),
            ("stream_share_max", self.stream_share_max, 0.01, 1.0),
            ("zone_spill", self.zone_spill, 0.0, 10.0),
            ("overflow_at", self.overflow_at, 0.01, 10.0),
        ] {
            within(&format!("selection.{key}"), value, least, most)?;
        }
        if self.landing_delay > LANDING_DELAY_MAX {
            let given = format!("{:?}", self.landing_delay);
            return Err(refused("selection.landing_delay", &given, "it is from 0s to 30s"));
        }
        Ok(())
    }

    fn zone_label(&self) -> Result<String, SettingsError> {
        if !is_label(&self.zone_label, "") {
            let hint = format!("it is a label's key, 1 to {LABEL_LEN_MAX} bytes");
            return Err(refused("selection.zone_label", &self.zone_label, &hint));
        }
        Ok(self.zone_label.clone())
    }

    fn rules(&self) -> Result<Vec<Rule>, SettingsError> {
        if self.rule.len() > RULES_MAX {
            let hint = format!("there are at most {RULES_MAX} rules");
            return Err(refused("selection.rule", &self.rule.len().to_string(), &hint));
        }
        for (place, rule) in self.rule.iter().enumerate() {
            rule.check()?;
            rule.check_beside(&self.labels)?;
            let hides = |earlier: &&RuleConfig| rule.path.starts_with(&earlier.path);
            if let Some(earlier) = self.rule[..place].iter().find(hides) {
                let hint =
                    format!("the rule of {:?} stands before it and fits first", earlier.path);
                return Err(refused("selection.rule.path", &rule.path, &hint));
            }
        }
        let rules = self.rule.iter().cloned();
        Ok(rules.map(|RuleConfig { path, labels }| Rule { path, labels }).collect())
    }

    fn zones(&self) -> Result<Zones, SettingsError> {
        let zones = self.zone.iter().map(ZoneConfig::checked).collect::<Result<Vec<_>, _>>()?;
        let in_places = zones.iter().find(|zone| !zone.places.is_empty());
        if let Some(zone) = in_places.filter(|_| self.geoip_file.is_empty()) {
            let key = format!("selection.zone.places of {:?}", zone.name);
            let given = zone.places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let hint = "places need a file to find clients in; set selection.geoip_file";
            return Err(refused(&key, &given, hint));
        }
        Zones::new(&zones).map_err(|why| SettingsError::Refused(format!("selection.zone: {why}")))
    }
}

impl RuleConfig {
    fn check(&self) -> Result<(), SettingsError> {
        let path = &self.path;
        let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'?');
        let has_dots = path.split('/').any(|part| matches!(part, "." | ".."));
        if !path.starts_with('/') || !is_visible || has_dots || path.len() > RULE_PATH_LEN_MAX {
            let hint = "it is how paths begin, such as /vip/: a slash, then visible ASCII without \
                        dot segments and a query";
            return Err(refused("selection.rule.path", path, hint));
        }
        check_labels(&format!("selection.rule.labels of {path:?}"), &self.labels)
    }

    /// A label has one value on an edge, so no edge could carry two.
    fn check_beside(&self, labels: &Labels) -> Result<(), SettingsError> {
        let differs = |(label, value): &(&String, &String)| {
            labels.get(*label).is_some_and(|of_all| of_all != *value)
        };
        let Some((label, value)) = self.labels.iter().find(differs) else { return Ok(()) };
        let key = format!("selection.rule.labels of {:?}", self.path);
        let hint = "selection.labels demands another value of every edge, so none could carry both";
        Err(refused(&key, &format!("{label}={value}"), hint))
    }
}

impl ZoneConfig {
    fn checked(&self) -> Result<Zone, SettingsError> {
        let key = |key: &str| format!("selection.zone.{key} of {:?}", self.name);
        let place = |text: &String| {
            text.parse::<Place>().map_err(|why| refused(&key("places"), text, &why.to_string()))
        };
        Ok(Zone {
            name: self.name.clone(),
            networks: networks(&key("networks"), &self.networks)?,
            places: self.places.iter().map(place).collect::<Result<_, _>>()?,
            next: self.next.clone(),
        })
    }
}

/// Labels that no edge could carry are refused.
fn check_labels(key: &str, labels: &Labels) -> Result<(), SettingsError> {
    if labels.len() > LABELS_MAX {
        let hint = format!("an edge carries at most {LABELS_MAX} labels");
        return Err(refused(key, &labels.len().to_string(), &hint));
    }
    let unusable = |(label, value): &(&String, &String)| !is_label(label, value);
    match labels.iter().find(unusable) {
        Some((label, value)) => {
            let hint =
                format!("a label's key is 1 to {LABEL_LEN_MAX} bytes, its value at most as many");
            Err(refused(key, &format!("{label}={value}"), &hint))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
