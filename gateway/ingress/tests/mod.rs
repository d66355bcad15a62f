//! Promises about connections, kept over real sockets with pingora's own proxy behind them.

mod caps;
mod certificates;
mod cleartext;
mod clients;
mod deadlines;
mod house;
mod http2;
mod leftovers;
mod life;
mod ocsp;
mod proxies;
