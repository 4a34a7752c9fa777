//! What the API server is told, and what it tells.

mod admits;
mod crds;
mod structural;
mod validate;
