//! Heddle: an embeddable scripting VM with green threads.
