//! The edges of the program: what it hears from the kernel, and what becomes of what it finds.

pub mod kernel;
