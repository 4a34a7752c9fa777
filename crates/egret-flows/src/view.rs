//! Bodies and messages made readable, always within bounds.

pub mod decode;
pub mod grpc;
pub mod multipart;
pub mod protobuf;
pub mod text;
