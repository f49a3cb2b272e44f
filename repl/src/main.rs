fn main() -> std::process::ExitCode {
    let path = std::env::args().nth(2).or(std::env::args().nth(1)).unwrap();
    let mut engine = heddle::Engine::new();
    let r = engine.load_file(path);
    let _ = engine.flush();
    match r {
        Ok(_) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprint!("{}", e.render());
            std::process::ExitCode::from(1)
        }
    }
}
