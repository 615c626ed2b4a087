//! The name of a process's service.

use observer_core::facts::Runtime;

use super::proc::Process;
use super::resource::Declared;

/// What the process calls itself, else what it runs.
///
/// In this order: `service.name` as its SDK publishes it (OTEP 4719); `OTEL_SERVICE_NAME`; `service.name` in `OTEL_RESOURCE_ATTRIBUTES` (both as the
/// OpenTelemetry SDKs read them); the script, module, jar or class that an interpreter runs; the
/// executable; the kernel's name of the process.
pub(super) fn name(
    process: &Process,
    exe: Option<&str>,
    runtime: Option<Runtime>,
    declared: &Declared,
) -> Option<String> {
    own(process, declared)
        .or_else(|| program(&process.args(), runtime))
        .or_else(|| exe.map(|path| file_name(path).to_owned()))
        .or_else(|| process.comm())
        .filter(|name| !name.is_empty())
}

/// Whether the process names its service itself.
pub(super) fn is_declared(process: &Process, declared: &Declared) -> bool {
    own(process, declared).is_some()
}

/// The name that a process publishes, or was started with.
fn own(process: &Process, declared: &Declared) -> Option<String> {
    (declared.published_service())
        .or_else(|| process.variable("OTEL_SERVICE_NAME"))
        .or_else(|| declared.started_service())
}

/// What an interpreter runs.
fn program(args: &[String], runtime: Option<Runtime>) -> Option<String> {
    let rest = args.get(1..)?;
    match runtime? {
        Runtime::Python => python(rest),
        Runtime::Node => script(rest, &["-r", "--require", "--import", "--loader", "-C"]),
        Runtime::Java => java(rest),
        Runtime::Ruby => ruby(args),
        Runtime::Php => php(args),
        Runtime::Dotnet => dotnet(args),
        Runtime::Go | Runtime::Rust | Runtime::Proxy | Runtime::Native => None,
    }
}

/// Options of CPython that take a value of their own.
const PYTHON_VALUES: [&str; 3] = ["-W", "-X", "--check-hash-based-pycs"];

fn python(args: &[String]) -> Option<String> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-c" => return None,
            "-m" => {
                let module = args.next()?;
                return Some(
                    launched(last_part(module), args.as_slice()).unwrap_or_else(|| module.clone()),
                );
            }
            option if PYTHON_VALUES.contains(&option) => {
                args.next();
            }
            option if option.starts_with('-') => {}
            script => {
                let name = stem(script);
                return Some(launched(name, args.as_slice()).unwrap_or_else(|| name.to_owned()));
            }
        }
    }
    None
}

/// Python programs that run an application which is named in their arguments.
const LAUNCHERS: [&str; 12] = [
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "granian",
    "waitress-serve",
    "flask",
    "celery",
    "opentelemetry-instrument",
    "ddtrace-run",
    "newrelic-admin",
    "python",
];

/// The application that a launcher runs.
fn launched(launcher: &str, args: &[String]) -> Option<String> {
    if !LAUNCHERS.contains(&launcher) {
        return None;
    }
    // `package.module:variable` is how WSGI and ASGI servers are told what to run.
    if let Some(app) = args.iter().find_map(|arg| application(arg)) {
        return Some(app);
    }
    let option = |names: &[&str]| {
        args.windows(2)
            .find(|pair| names.contains(&pair[0].as_str()))
            .map(|pair| stem(last_part(&pair[1])).to_owned())
    };
    option(&["--app", "-A", "-m"]).or_else(|| {
        let script = args.iter().find(|arg| arg.ends_with(".py"))?;
        Some(stem(script).to_owned())
    })
}

fn application(arg: &str) -> Option<String> {
    let (module, variable) = arg.split_once(':')?;
    let name = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '.')
            && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    let variable = variable.split('(').next().unwrap_or_default();
    (name(module) && name(variable)).then(|| application_module(module).to_owned())
}

/// `shop.wsgi` is the application `shop`: the last part says only how it is served.
fn application_module(module: &str) -> &str {
    match module.rsplit_once('.') {
        Some((package, "wsgi" | "asgi" | "main" | "app")) => last_part(package),
        _ => last_part(module),
    }
}

fn java(args: &[String]) -> Option<String> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-jar" => return Some(stem(args.next()?).to_owned()),
            "-cp" | "-classpath" | "--class-path" | "-p" | "--module-path" | "--add-modules"
            | "--add-opens" | "--add-exports" | "--add-reads" => {
                args.next();
            }
            "-m" | "--module" => return Some(class(args.next()?)),
            option if option.starts_with(['-', '@']) => {}
            source if source.ends_with(".java") => return Some(stem(source).to_owned()),
            main => return Some(class(main)),
        }
    }
    None
}

/// The simple name of a main class, without module and package.
fn class(main: &str) -> String {
    let main = main.rsplit_once('/').map_or(main, |(_, class)| class);
    last_part(main).to_owned()
}

/// A script after options of which `values` take a value of their own.
fn script(args: &[String], values: &[&str]) -> Option<String> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-e" | "--eval" | "-p" | "--print" | "-" => return None,
            option if values.contains(&option) => {
                args.next();
            }
            option if option.starts_with('-') => {}
            script => return Some(named_by_folder(script)),
        }
    }
    None
}

/// `shop/index.js` is named after its folder: half of all services are an `index` or a `main`.
fn named_by_folder(script: &str) -> String {
    let name = stem(script);
    let folder = script.rsplit('/').nth(1).filter(|folder| {
        !matches!(
            *folder,
            "" | "." | ".." | "src" | "dist" | "build" | "bin" | "lib" | "app"
        )
    });
    match (name, folder) {
        ("index" | "main" | "server", Some(folder)) => folder.to_owned(),
        _ => name.to_owned(),
    }
}

/// Puma and Unicorn rewrite their command line: `puma 6.4.2 (tcp://0.0.0.0:9292) [shop]`.
fn ruby(args: &[String]) -> Option<String> {
    if let Some(title) = args.first()
        && let Some((_, tag)) = title.rsplit_once('[')
        && let Some((tag, _)) = tag.split_once(']')
        && !tag.is_empty()
    {
        return Some(tag.to_owned());
    }
    script(args.get(1..)?, &["-r", "-I", "-C", "-E"])
}

/// PHP-FPM says its pool: `php-fpm: pool www`.
fn php(args: &[String]) -> Option<String> {
    let title = args.first()?;
    if let Some(pool) = title.strip_prefix("php-fpm: pool ") {
        return Some(format!("php-fpm-{}", pool.trim()));
    }
    if title.starts_with("php-fpm") {
        return None;
    }
    script(args.get(1..)?, &["-d", "-c", "-S", "-t"])
}

/// `dotnet Shop.Cart.dll`; an executable of its own is named after itself.
fn dotnet(args: &[String]) -> Option<String> {
    let (host, rest) = args.split_first()?;
    (file_name(host) == "dotnet").then_some(())?;
    let assembly = rest
        .iter()
        .find_map(|arg| file_name(arg).strip_suffix(".dll"))?;
    Some(assembly.to_owned())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// File name without its last extension.
fn stem(path: &str) -> &str {
    let name = file_name(path);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

fn last_part(dotted: &str) -> &str {
    match dotted.rsplit_once('.') {
        Some((_, last)) if last != "py" => last,
        _ => dotted,
    }
}
