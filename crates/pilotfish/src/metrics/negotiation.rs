//! Which format a scraper gets: content negotiation by `Accept` (RFC 9110, section 12.5.1).

use super::Exposition;

impl Exposition {
    /// Chooses by the value of the `Accept` header.
    ///
    /// OpenMetrics is only for those who name it, in a version that we write. Who accepts neither gets the text format
    /// all the same, as from Prometheus' own libraries: an unexpected answer is more use than none.
    pub(crate) fn negotiate(accept: Option<&str>) -> Exposition {
        let quality = |exposition| {
            let ranges = accept.unwrap_or_default().split(',').filter_map(Range::parse);
            let matching = ranges.filter_map(|range| Some((range.precision_for(exposition)?, range.quality)));
            // The most precise range that matches decides, not the best one.
            matching.max_by_key(|(precision, _)| *precision).map_or(0, |(_, quality)| quality)
        };
        let (open_metrics, text) = (quality(Exposition::OpenMetrics), quality(Exposition::Text));
        if open_metrics > 0 && open_metrics >= text { Exposition::OpenMetrics } else { Exposition::Text }
    }
}

/// One media range of the header.
struct Range<'a> {
    media: &'a str,
    version: Option<&'a str>,
    /// In thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Range<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Range { media: parts.next()?, version: None, quality: 1000 };
        for part in parts {
            match part.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
                Some(("q" | "Q", value)) => {
                    let quality: f64 = value.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
                    range.quality = (quality * 1000.0).round() as u16;
                }
                Some((name, value)) if name.eq_ignore_ascii_case("version") => range.version = Some(value),
                Some(_) | None => {}
            }
        }
        Some(range)
    }

    /// How precisely the range names a format, or `None` if it does not cover it.
    fn precision_for(&self, exposition: Exposition) -> Option<u8> {
        let (media, group, version) = match exposition {
            Exposition::Text => ("text/plain", Some("text/*"), "0.0.4"),
            Exposition::OpenMetrics => ("application/openmetrics-text", None, "1.0.0"),
        };
        if self.media.eq_ignore_ascii_case(media) {
            return match self.version {
                Some(wanted) if wanted == version => Some(4),
                Some(_) => None,
                None => Some(3),
            };
        }
        if group.is_some_and(|group| self.media.eq_ignore_ascii_case(group)) {
            return Some(2);
        }
        (self.media == "*/*" && exposition == Exposition::Text).then_some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers() {
        use Exposition::{OpenMetrics, Text};
        for (accept, expected) in [
            (None, Text),
            (Some(""), Text),
            (Some("*/*"), Text),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Text),
            (Some("application/openmetrics-text"), OpenMetrics),
            (Some("application/openmetrics-text;version=1.0.0,*/*;q=0.5"), OpenMetrics),
            (Some("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8"), OpenMetrics),
            // Prometheus 2.42.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                OpenMetrics,
            ),
            // Prometheus 3.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                OpenMetrics,
            ),
            (Some("application/openmetrics-text;version=0.0.1"), Text),
            (Some("application/openmetrics-text;q=0.3, text/plain;q=0.8"), Text),
            (Some("application/openmetrics-text;q=0.3, text/*;q=0.2"), OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Text),
            (Some("application/openmetrics-text;q=nonsense"), Text),
            (Some("text/plain;version=1.0.0, application/openmetrics-text;q=0.1"), OpenMetrics),
            (Some("image/png"), Text),
            (Some(",;,=;q"), Text),
        ] {
            assert_eq!(Exposition::negotiate(accept), expected, "{accept:?}");
        }
    }
}
