//! Placeholder text replaced as the crate is built.
