//! Conditions.

use super::Ask;

/// A condition.
#[derive(Clone, Debug)]
pub struct When {
    text: std::sync::Arc<str>,
}

/// Why a condition could not be evaluated.
#[derive(Clone, Debug)]
pub struct WhenFault(pub String);

impl std::fmt::Display for WhenFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl When {
    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it speaks of the request.
    #[must_use]
    pub fn needs_request(&self) -> bool {
        false
    }

    /// Whether it speaks of the address.
    #[must_use]
    pub fn needs_address(&self) -> bool {
        false
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub fn evaluate(&self, _ask: &Ask<'_>) -> Result<bool, WhenFault> {
        Err(WhenFault(String::new()))
    }
}
