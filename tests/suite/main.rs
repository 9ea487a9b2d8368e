//! The suite. Its modules are its table of contents.

mod catalog;
mod config;
