//! The reports of several policies side by side, and what they must hold.

use std::fmt::Write;

use tidegate_control::selection::Policy;

use super::Report;

/// `fill` leaves no edge fuller than this by the fleet's mean, at the end and on the way.
const FILL_MAX: f64 = 1.15;
/// Policies that know nothing of what was handed out since the last report, or of capacity. They
/// must be seen to herd, or the harness sees nothing.
const HERDING: [Policy; 2] = [Policy::Wowza, Policy::Report];

/// A row for each policy.
#[must_use]
pub fn print_table(reports: &[Report]) -> String {
    let mut table = format!(
        "{:<8}{:>10}{:>8}{:>8}{:>8}{:>8}{:>12}{:>9}{:>8}\n",
        "policy", "max/mean", "worst", "peak", "mean", "pulls", "redirects", "per s", "late"
    );
    for report in reports {
        let _ = writeln!(
            table,
            "{:<8}{:>10.3}{:>8.3}{:>7.1}%{:>7.1}%{:>8}{:>12}{:>9.0}{:>6}ms",
            report.policy.as_str(),
            report.end.max_over_mean(),
            report.worst,
            report.peak * 100.0,
            report.end.mean * 100.0,
            report.pulls,
            report.redirects,
            report.rate,
            report.late_max.as_millis(),
        );
    }
    table
}

/// Everything that must not be and is.
#[must_use]
pub fn faults(reports: &[Report]) -> Vec<String> {
    let refused = |report: &Report| {
        let has = !report.refused.is_empty();
        has.then(|| format!("{} refused clients: {:?}", report.policy, report.refused))
    };
    let mut faults: Vec<String> = reports.iter().filter_map(refused).collect();
    let Some(fill) = reports.iter().find(|report| report.policy == Policy::Fill) else {
        return faults;
    };
    for (when, ratio) in [("at the end", fill.end.max_over_mean()), ("at worst", fill.worst)] {
        if ratio > FILL_MAX {
            faults.push(format!("fill is at {ratio:.3} of the mean {when}, above {FILL_MAX}"));
        }
    }
    for other in reports.iter().filter(|report| HERDING.contains(&report.policy)) {
        if other.worst <= fill.worst {
            faults.push(format!("{} is no worse than fill, so nothing was seen", other.policy));
        }
    }
    faults
}
