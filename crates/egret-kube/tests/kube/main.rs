//! What the API server is told, and what it tells.

mod admits;
mod crds;
mod import;
mod policies;
mod structural;
mod validate;
