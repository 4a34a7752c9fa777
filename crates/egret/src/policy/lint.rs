use std::process::ExitCode;
pub(super) fn run(_: &super::args::LintArgs) -> Result<ExitCode, super::ToolError> {
    Ok(ExitCode::SUCCESS)
}
