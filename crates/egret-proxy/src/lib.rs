//! placeholder
pub mod stream;
pub mod upstream;
