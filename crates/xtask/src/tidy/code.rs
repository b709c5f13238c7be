//! Rules about Rust code that need its syntax: length of functions, `unwrap` outside tests, fixed waits and ignored tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;

/// What fits a screen, in lines from `fn` to the closing brace.
const LINES_PER_FUNCTION: usize = 70;

/// Functions of the standard library and of tokio that wait for a time, whatever happens.
const WAITS: [&str; 3] = ["sleep", "sleep_until", "sleep_ms"];

/// Functions of tokio that wait for one time after the other: right for looking at a condition again and again, and only for that.
const TICKS: [&str; 2] = ["interval", "interval_at"];

/// What to do instead.
const FIXED_WAIT: &str = "a fixed wait in a test: wait for the event or condition, with a deadline";

/// Which files hold only tests: everything under a crate's `tests/` or `benches/`, and files of modules under `#[cfg(test)]`.
pub(super) struct TestFiles {
    modules: BTreeSet<PathBuf>,
}

impl TestFiles {
    pub(super) fn of(files: &BTreeMap<PathBuf, syn::File>) -> Self {
        let mut modules = BTreeSet::new();
        for (file, syntax) in files {
            for item in &syntax.items {
                let syn::Item::Mod(module) = item else { continue };
                if module.content.is_none() && is_for_tests(&module.attrs) {
                    modules.insert(module_path(file, &module.ident.to_string()));
                }
            }
        }
        Self { modules }
    }

    pub(super) fn contains(&self, file: &Path) -> bool {
        // crates/NAME/tests/...: beside `src`, not below it.
        let kind = file.components().nth(2).map(|part| part.as_os_str());
        kind.is_some_and(|kind| kind == "tests" || kind == "benches")
            || self.modules.iter().any(|module| file.with_extension("") == *module || file.starts_with(module))
    }
}

/// Where the module `name`, declared in `file`, lives: the path without `.rs`, which is also the folder of its submodules.
fn module_path(file: &Path, name: &str) -> PathBuf {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = if ["lib", "main", "mod"].contains(&stem) {
        file.parent().unwrap_or(Path::new("")).to_path_buf()
    } else {
        file.with_extension("")
    };
    folder.join(name)
}

/// `#[cfg(test)]`, `#[test]`, `#[tokio::test]`.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if attribute.path().is_ident("cfg") => {
            let condition: String = list.tokens.to_string().split_whitespace().collect();
            condition == "test" || condition.starts_with("all(test,")
        }
        syn::Meta::Path(_) | syn::Meta::List(_) | syn::Meta::NameValue(_) => {
            attribute.path().segments.last().is_some_and(|segment| segment.ident == "test")
        }
    })
}

/// Whether a function has a parameter that is called without arguments and says something: `impl FnMut() -> bool`.
fn takes_condition(signature: &syn::Signature) -> bool {
    struct Conditions(bool);
    impl<'ast> Visit<'ast> for Conditions {
        fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
            let called = ["Fn", "FnMut"].iter().any(|name| segment.ident == name);
            if let syn::PathArguments::Parenthesized(arguments) = &segment.arguments {
                let answers = matches!(arguments.output, syn::ReturnType::Type(..));
                self.0 |= called && arguments.inputs.is_empty() && answers;
            }
        }
    }
    let mut conditions = Conditions(false);
    conditions.visit_signature(signature);
    conditions.0
}

/// Checks one parsed file.
pub(super) fn check(place: &str, file: &syn::File, is_test: bool) -> Vec<Finding> {
    let in_test = is_test || is_for_tests(&file.attrs);
    let mut rules = Rules { place, in_test, has_condition: false, findings: Vec::new() };
    rules.visit_file(file);
    rules.findings
}

struct Rules<'a> {
    place: &'a str,
    in_test: bool,
    /// The function that is visited is given the condition that it waits for.
    has_condition: bool,
    findings: Vec<Finding>,
}

impl Rules<'_> {
    fn error(&mut self, span: Span, text: &str) {
        self.findings.push(Finding::error(self.place, span.start().line, text));
    }

    /// Visits with `in_test` switched on if the attributes say so.
    fn scoped(&mut self, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let outside = self.in_test;
        self.in_test |= is_for_tests(attributes);
        visit(self);
        self.in_test = outside;
    }

    fn length(&mut self, name: &syn::Ident, first: Span, block: &syn::Block) {
        let lines = block.brace_token.span.close().end().line - first.start().line + 1;
        if lines <= LINES_PER_FUNCTION {
            return;
        }
        let text = format!("`{name}` has {lines} lines, more than {LINES_PER_FUNCTION}: a function fits a screen");
        let line = first.start().line;
        // A test's table of cases may be long without being complicated.
        self.findings.push(if self.in_test {
            Finding::warning(self.place, line, text)
        } else {
            Finding::error(self.place, line, text)
        });
    }

    fn unwrap(&mut self, span: Span) {
        if !self.in_test {
            self.error(span, "`unwrap` outside tests: handle it, or `expect(\"why it cannot fail\")`");
        }
    }

    fn path_called(&mut self, path: &syn::Path) {
        if path.segments.last().is_some_and(|segment| self.is_wait(&segment.ident)) {
            self.error(path.span(), FIXED_WAIT);
        }
    }

    fn is_wait(&self, name: &syn::Ident) -> bool {
        let named = |names: &[&str]| names.iter().any(|known| name == known);
        self.in_test && (named(&WAITS) || named(&TICKS) && !self.has_condition)
    }

    fn macro_called(&mut self, call: &syn::Macro) {
        let name = call.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        if ["todo", "unimplemented"].contains(&name.as_str()) {
            self.error(call.path.span(), &format!("`{name}!`: unfinished work"));
        }
        self.tokens(call.tokens.clone());
    }

    /// The arguments of macros are not parsed, so they are searched as tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_punct = |token: Option<&TokenTree>, wanted: char| matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == wanted);
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    let called = matches!(tokens.get(index + 1), Some(TokenTree::Group(_)));
                    let before = index.checked_sub(1).and_then(|before| tokens.get(before));
                    if ident == "unwrap" && called && is_punct(before, '.') {
                        self.unwrap(ident.span());
                    }
                    if called && is_punct(before, ':') && self.is_wait(ident) {
                        self.error(ident.span(), FIXED_WAIT);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Rules<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.scoped(&module.attrs, |rules| visit::visit_item_mod(rules, module));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.scoped(&item.attrs, |rules| visit::visit_item_impl(rules, item));
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.scoped(&function.attrs, |rules| {
            rules.length(&function.sig.ident, function.sig.span(), &function.block);
            let outside = std::mem::replace(&mut rules.has_condition, takes_condition(&function.sig));
            visit::visit_item_fn(rules, function);
            rules.has_condition = outside;
        });
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.scoped(&function.attrs, |rules| {
            rules.length(&function.sig.ident, function.sig.span(), &function.block);
            visit::visit_impl_item_fn(rules, function);
        });
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.length(&function.sig.ident, function.sig.span(), block);
        }
        visit::visit_trait_item_fn(self, function);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let conditional = attribute.path().is_ident("cfg_attr")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.clone().into_iter().any(|t| t.to_string() == "ignore"));
        if attribute.path().is_ident("ignore") || conditional {
            self.error(attribute.span(), "an ignored test: run it or delete it");
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "unwrap" && call.args.is_empty() {
            self.unwrap(call.method.span());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        if let syn::Expr::Path(function) = &*call.func {
            self.path_called(&function.path);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.macro_called(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str, is_test: bool) -> Vec<String> {
        let file = syn::parse_file(source).expect("the example parses");
        check("a.rs", &file, is_test).iter().map(ToString::to_string).collect()
    }

    fn check_one(source: &str, is_test: bool, words: &str) {
        let found = findings(source, is_test);
        assert!(found.len() == 1 && found[0].contains(words), "{source}: {found:?}");
    }

    #[test]
    fn unwrap_is_for_tests() {
        check_one("fn f() { x().unwrap(); }", false, "a.rs:1: `unwrap`");
        check_one("fn f() { println!(\"{}\", x().unwrap()); }", false, "`unwrap`");
        assert_eq!(findings("fn f() { x().unwrap_or(1); x().expect(\"why\"); }", false), Vec::<String>::new());
        for tested in
            ["#[cfg(test)] mod tests { fn f() { x().unwrap(); } }", "#[test] fn f() { assert!(x().unwrap()); }"]
        {
            assert_eq!(findings(tested, false), Vec::<String>::new());
        }
        assert_eq!(findings("fn f() { x().unwrap(); }", true), Vec::<String>::new());
        check_one("#[cfg(test)] mod tests {} fn f() { x().unwrap(); }", false, "`unwrap`");
    }

    #[test]
    fn tests_do_not_wait_for_fixed_times() {
        for wait in [
            "std::thread::sleep(d)",
            "tokio::time::sleep(d).await",
            "sleep(d)",
            "tokio::time::sleep_until(t).await",
            "std::thread::sleep_ms(5)",
            "let mut ticks = tokio::time::interval(d)",
            "let mut ticks = interval_at(t, d)",
            "select! { _ = tokio::time::sleep_until(t) => {} }",
            "select! { _ = tokio::time::sleep(d) => {} }",
        ] {
            check_one(&format!("async fn f() {{ {wait}; }}"), true, "fixed wait");
            assert_eq!(findings(&format!("async fn f() {{ {wait}; }}"), false), Vec::<String>::new(), "{wait}");
        }
        let looking =
            "async fn until(mut condition: impl FnMut() -> bool) { let mut ticks = tokio::time::interval(d); }";
        assert_eq!(findings(looking, true), Vec::<String>::new());
        check_one(&looking.replace("interval(d)", "sleep(d)"), true, "fixed wait");
        assert_eq!(findings("fn f() { job.interval(d); health().interval; }", true), Vec::<String>::new());
        assert_eq!(findings("fn f() { Command::new(\"sleep\").arg(\"60\"); }", true), Vec::<String>::new());
    }

    #[test]
    fn tests_are_not_ignored() {
        check_one(concat!("#[test] #[", "ignore] fn f() {}"), true, "ignored test");
        check_one("#[cfg_attr(not(linux), ignore)] fn f() {}", true, "ignored test");
    }

    #[test]
    fn work_is_finished() {
        check_one(concat!("fn f() { to", "do!() }"), true, "unfinished work");
        check_one(concat!("fn f() { core::unimp", "lemented!() }"), false, "unfinished work");
    }

    #[test]
    fn functions_fit_a_screen() {
        let function = |lines: usize| format!("impl A {{\nfn long() {{{}}}\n}}", "\n".repeat(lines - 1));
        assert_eq!(findings(&function(LINES_PER_FUNCTION), false), Vec::<String>::new());
        check_one(&function(LINES_PER_FUNCTION + 1), false, "error: a.rs:2: `long` has 71 lines");
        check_one(&function(LINES_PER_FUNCTION + 1), true, "warning: a.rs:2");
    }

    #[test]
    fn files_of_test_modules_are_tests() {
        let parse = |source: &str| syn::parse_file(source).expect("the example parses");
        let files = BTreeMap::from([
            (PathBuf::from("crates/a/src/lib.rs"), parse("#[cfg(test)] mod checks; mod tests;")),
            (PathBuf::from("crates/a/src/b.rs"), parse("#[cfg(test)] mod tests;")),
        ]);
        let tests = TestFiles::of(&files);
        for file in [
            "crates/a/src/checks.rs",
            "crates/a/src/checks/more.rs",
            "crates/a/src/b/tests.rs",
            "crates/a/tests/it/main.rs",
        ] {
            assert!(tests.contains(Path::new(file)), "{file}");
        }
        for file in ["crates/a/src/lib.rs", "crates/a/src/tests.rs", "crates/a/src/b.rs"] {
            assert!(!tests.contains(Path::new(file)), "{file}");
        }
    }
}
