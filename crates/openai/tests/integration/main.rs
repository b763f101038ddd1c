//! The client against servers of our own that speak as real ones do, with what is irregular about each.

mod emitter;
mod irregular;
mod probed;
mod times;
