//! The client against servers of our own that speak as real ones do, with what is irregular about each.

mod asking;
mod irregular;
mod measured;
mod probed;
mod times;
