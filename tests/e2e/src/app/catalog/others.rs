//! Services in Ruby, .NET and PHP.

use crate::app::App;

impl App {
    /// Puma with Net::HTTP.
    pub const PUMA: Self = Self::new(
        "puma",
        "Ruby",
        "Puma's thread pool; Net::HTTP, parallel calls by new threads",
        "ruby {apps}/ruby/puma_app.rb",
    )
    .parallel();

    /// ASP.NET Core.
    pub const DOTNET: Self = Self::new(
        "dotnet",
        ".NET",
        "ASP.NET Core 3.1 on Kestrel; HttpClient",
        "{built}/dotnet/dotnet {built}/dotnet/Service.dll",
    )
    .parallel();

    /// PHP-FPM behind nginx; its lines are relayed by its master.
    pub const PHP_FPM: Self = Self::new(
        "php-fpm",
        "PHP",
        "PHP-FPM behind nginx; curl",
        "python3 {apps}/launch.py php",
    )
    .needs(&["nginx", "php-fpm8.2"])
    .parallel();
}
