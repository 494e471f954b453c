//! The console and the customer's page, over sockets, as a browser without scripts uses them.

mod actions;
mod browser;
mod entrance;
mod forms;
mod hostile;
mod protection;
mod rights;
mod routes;
