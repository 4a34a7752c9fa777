//! `egret policy suggest`: the smallest reasonable allow list for what was seen.

mod collapse;
mod collect;
mod follow;
mod identity;
mod plan;
mod write;

pub(super) use collapse::registrable;
pub(super) use write::when;

use std::process::ExitCode;

use super::args::{SuggestArgs, SuggestOutput};
use super::output::write_file;
use super::records::{Source, read_all};
use super::{ToolError, other};
use collect::Collection;

/// Reads records, and writes an allow list.
pub(super) fn run(args: &SuggestArgs) -> Result<ExitCode, ToolError> {
    let mut collection = Collection::new(args.by, args.flows, args.include_denied);
    let mut sources: Vec<Source> = args.files.iter().map(Source::from).collect();
    if sources.is_empty() && args.follow.is_none() {
        sources.push(Source::Stdin);
    }
    let mut stats = read_all(&sources, |record| collection.add(record))?;
    if let Some(path) = &args.follow {
        let duration = args.duration.as_deref().map(follow::duration).transpose();
        let duration = duration.map_err(|problem| other(format!("--for: {problem}")))?;
        follow::follow(path, duration, &mut stats, &mut |record| collection.add(record))?;
    }
    let plan = plan::Plan::new(&collection, args.collapse);
    let text = match args.format {
        SuggestOutput::Json => format!("{:#}\n", write::json(&plan, &collection, &stats, args.mode)),
        SuggestOutput::Yaml => write::configuration(&plan, &collection, &stats, args),
        SuggestOutput::Documents => write::documents(&plan, &collection, &stats, args),
    };
    for line in stats.words() {
        anstream::eprintln!("{line}");
    }
    for line in collection.left_out() {
        anstream::eprintln!("{line}");
    }
    if args.format == SuggestOutput::Yaml
        && let Err(problems) = egret_config::check(&text, "the suggestion")
    {
        anstream::eprintln!(
            "the suggestion is no configuration that can be read as it stands ({}); write documents for \
             `policyFiles` with --format documents, or tell fewer identities apart with --by",
            problems.first().map_or(String::new(), egret_config::Problem::one_line)
        );
    }
    match &args.out {
        Some(path) => write_file(path, &text).map(|()| ExitCode::SUCCESS),
        None => Ok(crate::print(&text)),
    }
}

#[cfg(test)]
mod tests;
