//! Scripts: requests as text. `tests/scripts/README.md` describes the language for those who write one.

/// A file of scripts.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) title: String,
    /// Line of the title, from 1.
    pub(crate) line: usize,
    pub(crate) steps: Vec<Step>,
}

/// One line of a script, with what is said about it below.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    /// The line as it is written.
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) action: Action,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
    pub(crate) until: Vec<Condition>,
    pub(crate) saves: Vec<Save>,
    pub(crate) compare: Compare,
}

/// What a step does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sends a request and waits for its answer.
    #[default]
    Ask,
    /// Sends a request on a connection of its own, whose answer comes later.
    Begin(String),
    /// Waits for the answer of what was begun there.
    Collect(String),
}

/// Where a body comes from.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// Text, in which variables are replaced.
    Text(String),
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// The saved bytes of an earlier answer.
    Saved(String),
}

impl Default for Body {
    fn default() -> Body {
        Body::Text(String::new())
    }
}

/// What an answer must be like before it is compared; until then the request is repeated.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Status(u16),
    Has(String),
    Lacks(String),
    /// What was begun there has its answer: who sent it first does not say who came first.
    Answered(String),
}

/// Something of an answer that later requests use.
#[derive(Debug, Clone)]
pub(crate) struct Save {
    pub(crate) name: String,
    pub(crate) from: Source,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    Header(String),
    /// A JSON pointer into the body.
    Body(String),
    /// The whole body, for `send`.
    Bytes,
}

/// How much of an answer is compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compare {
    /// JSON pointers; empty: the whole body.
    pub(crate) only: Vec<String>,
    /// Status and headers only.
    pub(crate) no_body: bool,
    /// The order of arrays means nothing.
    pub(crate) unordered: bool,
    /// How the index relates to others depends on who was quicker.
    pub(crate) any_index: bool,
    /// Names of accepted differences, which must be there.
    pub(crate) accepted: Option<String>,
}

/// Reads a file. Errors name the line.
pub(crate) fn parse(text: &str) -> Result<Vec<Script>, String> {
    let mut scripts: Vec<Script> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let at = |error: &str| format!("line {number}: {error}: {line}");
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            scripts.push(Script { title: title.trim().to_owned(), line: number, steps: Vec::new() });
            continue;
        }
        let script = scripts.last_mut().ok_or_else(|| at("a request before the first `== TITLE`"))?;
        if line.starts_with(' ') {
            let step = script.steps.last_mut().ok_or_else(|| at("nothing above that this could belong to"))?;
            directive(step, line.trim()).map_err(|error| at(&error))?;
        } else {
            script.steps.push(Step { line: number, ..step(line).map_err(|error| at(&error))? });
        }
    }
    Ok(scripts)
}

fn step(line: &str) -> Result<Step, String> {
    let mut step = Step { text: line.to_owned(), ..Step::default() };
    if let Some(name) = line.strip_suffix('<') {
        step.action = Action::Collect(name.to_owned());
        return Ok(step);
    }
    let mut rest = line;
    if let Some((name, request)) = line.split_once("> ").filter(|(name, _)| !name.contains(' ')) {
        step.action = Action::Begin(name.to_owned());
        rest = request;
    }
    let mut words = rest.splitn(3, ' ');
    let mut next = || words.next().map(str::to_owned);
    step.method = next().unwrap_or_default();
    step.target = next().ok_or("a method, but no target")?;
    step.body = Body::Text(next().unwrap_or_default());
    Ok(step)
}

fn directive(step: &mut Step, line: &str) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    match word {
        "header" => {
            let (name, value) = rest.split_once(':').ok_or("a header needs a colon")?;
            step.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        "body" => match &mut step.body {
            Body::Text(body) => *body += rest,
            Body::Bytes(_) | Body::Saved(_) => return Err("two kinds of body".into()),
        },
        "fill" => {
            let (byte, count) = rest.split_once(' ').ok_or("fill BYTE COUNT")?;
            let count = count.parse().map_err(|_| "COUNT is no number")?;
            step.body = Body::Bytes(byte.as_bytes().iter().copied().cycle().take(count).collect());
        }
        "hex" => step.body = Body::Bytes(hex(rest).ok_or("no hexadecimal bytes")?),
        "send" => step.body = Body::Saved(rest.to_owned()),
        "until" => step.until.push(condition(rest).ok_or("until status N, has TEXT, lacks TEXT or answered NAME")?),
        "save" => step.saves.push(save(rest).ok_or("save NAME header H, body /POINTER or bytes")?),
        "only" => step.compare.only = rest.split(' ').map(str::to_owned).collect(),
        "no-body" => step.compare.no_body = true,
        "unordered" => step.compare.unordered = true,
        "any-index" => step.compare.any_index = true,
        "accepted" => step.compare.accepted = Some(rest.to_owned()),
        other => return Err(format!("there is no `{other}`")),
    }
    Ok(())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn condition(text: &str) -> Option<Condition> {
    let (word, rest) = text.split_once(' ')?;
    match word {
        "status" => Some(Condition::Status(rest.parse().ok()?)),
        "has" => Some(Condition::Has(rest.to_owned())),
        "lacks" => Some(Condition::Lacks(rest.to_owned())),
        "answered" => Some(Condition::Answered(rest.to_owned())),
        _ => None,
    }
}

fn save(text: &str) -> Option<Save> {
    let mut words = text.split(' ');
    let name = words.next()?.to_owned();
    let from = match (words.next()?, words.next()) {
        ("header", Some(header)) => Source::Header(header.to_owned()),
        ("body", Some(pointer)) => Source::Body(pointer.to_owned()),
        ("body", None) => Source::Body(String::new()),
        ("bytes", None) => Source::Bytes,
        _ => return None,
    };
    Some(Save { name, from })
}
