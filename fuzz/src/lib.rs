//! What the fuzz targets share: `bytecode` runs what the verifier accepts, `data` compares the library with references, `front_end` puts any bytes through the compiler, `http` reads them as messages, `programs` writes whole programs out of bytes, `run`
//! runs one of them and compares what runs of it gave, `peer` lets a build with the other dispatch run it, too.

pub mod bytecode;
pub mod data;
pub mod front_end;
pub mod http;
pub mod peer;
pub mod programs;
pub mod run;
