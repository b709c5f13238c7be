//! Samples, what they come to, and the table of them.

use serde_json::{Value, json};

/// Columns of the table.
const COLUMNS: usize = 7;

/// What is measured, in a unit.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) ours: Figure,
    /// The physical floor, or the peer, of the same run; absent where nothing is the floor.
    pub(super) floor: Option<Figure>,
    /// What we aim for, at most.
    pub(super) goal: Option<f64>,
    /// What we aim for as a multiple of the floor, at most.
    pub(super) goal_ratio: Option<f64>,
}

impl Row {
    pub(super) fn new(name: impl Into<String>, unit: &'static str, ours: Figure) -> Self {
        Self { name: name.into(), unit, ours, floor: None, goal: None, goal_ratio: None }
    }

    pub(super) fn beside(mut self, floor: Figure) -> Self {
        self.floor = Some(floor);
        self
    }

    pub(super) fn goal(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    pub(super) fn goal_ratio(mut self, ratio: f64) -> Self {
        self.goal_ratio = Some(ratio);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.as_ref().map(|floor| self.ours.median / floor.median).filter(|ratio| ratio.is_finite())
    }

    /// The ratio of the best samples: what others do on the machine can only make a sample larger, so these are nearest to both costs.
    fn ratio_of_minima(&self) -> Option<f64> {
        self.floor.as_ref().map(|floor| self.ours.min / floor.min).filter(|ratio| ratio.is_finite())
    }

    fn is_missed(&self) -> bool {
        let above = |value: Option<f64>, goal: Option<f64>| goal.zip(value).is_some_and(|(goal, value)| value > goal);
        above(Some(self.ours.median), self.goal) || above(self.ratio(), self.goal_ratio)
    }

    fn cells(&self) -> [String; COLUMNS] {
        let goal = match (self.goal, self.goal_ratio) {
            (Some(goal), Some(ratio)) => format!("<= {}, {ratio}x", number(goal)),
            (Some(goal), None) => format!("<= {}", number(goal)),
            (None, Some(ratio)) => format!("<= {ratio}x"),
            (None, None) => String::new(),
        };
        [
            self.name.clone(),
            self.ours.text(),
            self.floor.as_ref().map(Figure::text).unwrap_or_default(),
            self.ratio_of_minima().map(|ratio| format!("{ratio:.2}x")).unwrap_or_default(),
            self.ratio().map(|ratio| format!("{ratio:.2}x")).unwrap_or_default(),
            format!("{} {goal}", self.unit).trim_end().to_owned(),
            if self.is_missed() { "missed".into() } else { String::new() },
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name, "unit": self.unit, "ours": self.ours.json(), "floor": self.floor.as_ref().map(Figure::json),
            "ratio": self.ratio(), "ratioOfMinima": self.ratio_of_minima(), "goal": self.goal, "goalRatio": self.goal_ratio, "missed": self.is_missed(),
        })
    }
}

/// What many samples come to, or one.
pub(super) struct Figure {
    min: f64,
    median: f64,
    p90: f64,
    samples: usize,
}

impl Figure {
    /// The samples are at least one.
    pub(super) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let last = samples.len() - 1;
        // Of an even number, the mean of the two in the middle.
        let median = (samples[samples.len() / 2] + samples[last / 2]) / 2.0;
        Self { min: samples[0], median, p90: samples[last * 9 / 10], samples: samples.len() }
    }

    pub(super) fn one(value: f64) -> Self {
        Self { min: value, median: value, p90: value, samples: 1 }
    }

    pub(super) fn median(&self) -> f64 {
        self.median
    }

    fn text(&self) -> String {
        match self.samples {
            0 | 1 => number(self.median),
            // Few samples have no tenth part.
            2..10 => format!("{} / {}", number(self.min), number(self.median)),
            _ => format!("{} / {} / {}", number(self.min), number(self.median), number(self.p90)),
        }
    }

    fn json(&self) -> Value {
        json!({ "min": self.min, "median": self.median, "p90": self.p90, "samples": self.samples })
    }
}

/// Whole numbers as they are, others with three decimals.
fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}

/// The rows as text, in columns.
pub(super) fn table(rows: &[Row]) -> String {
    let heading = ["figure", "ours: min / median / p90", "floor: the same", "minima", "ratio", "unit and goal", ""];
    let mut lines = vec![heading.map(String::from)];
    lines.extend(rows.iter().map(Row::cells));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for [name, ours, floor, minima, ratio, goal, verdict] in &lines {
        let line = format!(
            "{name:<0$}  {ours:>1$}  {floor:>2$}  {minima:>3$}  {ratio:>4$}  {goal:<5$}  {verdict}",
            widths[0], widths[1], widths[2], widths[3], widths[4], widths[5]
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (samples, median) in [(vec![7.0], 7.0), (vec![9.0, 1.0], 5.0), (vec![3.0, 1.0, 50.0], 3.0)] {
            assert_eq!(Figure::of(samples).median, median);
        }
        let figure = Figure::of((0..=100).rev().map(f64::from).collect());
        assert_eq!((figure.min, figure.p90), (0.0, 90.0));
    }

    #[test]
    fn the_table_shows_ours_the_floor_and_the_ratio() {
        let row = Row::new("start", "ms", Figure::of(vec![3.0; 10])).beside(Figure::of(vec![2.0; 10])).goal(4.0);
        let text = table(&[row]);
        let words: Vec<_> = text.lines().nth(1).expect("one row").split_whitespace().collect();
        let ours = ["3", "/", "3", "/", "3"];
        let expected = [["start"].as_slice(), &ours, &["2", "/", "2", "/", "2"], &["1.50x", "1.50x", "ms", "<=", "4"]];
        assert_eq!(words, expected.concat());
    }

    #[test]
    fn a_missed_goal_is_marked() {
        let row = || Row::new("start", "ms", Figure::one(3.0)).beside(Figure::one(2.0));
        assert!(row().goal(2.9).is_missed() && !row().goal(3.0).is_missed());
        assert!(row().goal_ratio(1.4).is_missed() && !row().goal_ratio(1.5).is_missed());
        assert!(!row().is_missed());
        let idle = Row::new("wake-ups", "a minute", Figure::one(0.0)).beside(Figure::one(0.0)).goal(0.0);
        assert!(!idle.is_missed() && table(&[idle]).contains("<= 0"), "nothing divided by nothing is no ratio");
    }
}
