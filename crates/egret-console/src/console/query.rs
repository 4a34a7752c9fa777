//! Queries of URLs. What the contract does not have is refused.

use std::borrow::Cow;
use std::str::FromStr;

use axum::http::Uri;
use egret_flows::filter::Filter;

use super::problem::Problem;

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads them; only these may be there, each once.
    pub(crate) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                let shown: Cow<'_, str> = name.chars().take(40).collect();
                return Err(Problem::bad_request(format!("there is no query parameter `{shown}`")));
            }
            if params.iter().any(|(other, _)| *other == name) {
                return Err(Problem::bad_request(format!("the query parameter `{name}` comes twice")));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(params))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn number<T: FromStr + PartialOrd + Copy + std::fmt::Display>(
        &self,
        name: &str,
        least: T,
        most: T,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<T>() {
            Ok(number) if number >= least && number <= most => Ok(Some(number)),
            _ => Err(Problem::bad_request(format!("`{name}` has to be a number from {least} to {most}"))),
        }
    }

    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        Ok(self.number("limit", 1, 1000)?.unwrap_or(100))
    }

    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let text = self.text("filter").unwrap_or_default();
        Filter::parse(text).map_err(|error| {
            let wrong = FilterFault::of(text, &error);
            let mut problem =
                Problem::new(axum::http::StatusCode::BAD_REQUEST, "bad-filter", "The filter does not read")
                    .detail(wrong.message.clone())
                    .advice("GET /api/v1/filter checks one; docs/flows.md has the language")
                    .with("position", wrong.position)
                    .with("length", wrong.length);
            if let Some(suggestion) = wrong.suggestion {
                problem = problem.with("suggestion", suggestion);
            }
            problem
        })
    }
}

/// What is wrong with a filter, as the contract writes it.
#[derive(Debug)]
pub(crate) struct FilterFault {
    pub(crate) message: String,
    /// In UTF-16 code units, as browsers count.
    pub(crate) position: usize,
    pub(crate) length: usize,
    pub(crate) suggestion: Option<String>,
}

impl FilterFault {
    pub(crate) fn of(text: &str, error: &egret_flows::filter::FilterError) -> Self {
        let at = text.char_indices().nth(error.column.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        let (before, rest) = text.split_at(at);
        let word = rest.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(rest.len());
        let units = |text: &str| text.encode_utf16().count();
        let suggestion = error.hint.strip_prefix("did you mean ").and_then(|rest| rest.strip_suffix('?'));
        let message = match error.hint.is_empty() {
            true => error.what.clone(),
            false => format!("{}; {}", error.what, error.hint),
        };
        Self {
            message,
            position: units(before),
            length: units(&rest[..word]).max(usize::from(!rest.is_empty())),
            suggestion: suggestion.map(str::to_owned),
        }
    }
}
