//! The program as its users run it: real processes, real sockets on loopback.

mod canary;
mod commands;
mod crash;
mod demo;
mod program;
mod receiver;
