// What the .NET service does for one request; the other languages have the same module.

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;
using System.Threading;
using Microsoft.AspNetCore.Http;

internal sealed class Work
{
    public static readonly int BackgroundMillis =
        int.Parse(Environment.GetEnvironmentVariable("BG_MS") ?? "50", CultureInfo.InvariantCulture);

    private static readonly string Downstream =
        Environment.GetEnvironmentVariable("DOWNSTREAM") ?? "http://127.0.0.1:9";

    private static readonly Regex Traceparent =
        new Regex("^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$");

    // Trace of the request that began last, as a global that a careless library keeps its context in.
    private static string? last;

    private readonly string id, mode, log, trace, leaked;
    private readonly int variant;
    private readonly string? inbound;

    public Work(IQueryCollection query, string? traceparent)
    {
        string Field(string name, string otherwise) =>
            query.TryGetValue(name, out var value) ? value.ToString() : otherwise;
        id = Field("id", "none");
        mode = Field("mode", "propagate");
        log = Field("log", "linked");
        Parallel = Field("par", "0") == "1";
        Calls = int.Parse(Field("calls", "2"), CultureInfo.InvariantCulture);
        variant = int.Parse(Field("var", "0"), CultureInfo.InvariantCulture);
        inbound = string.IsNullOrEmpty(traceparent) ? null : traceparent;
        var match = Traceparent.Match(inbound ?? "");
        trace = match.Success ? match.Groups[1].Value : TraceId();
        leaked = Interlocked.Exchange(ref last, trace) ?? trace;
    }

    public int Calls { get; }

    public bool Parallel { get; }

    public static string BackgroundUrl(int number) => $"{Downstream}/bg?n={number}";

    public static string BackgroundLine(int number) => $"{{\"level\":\"info\",\"message\":\"tick\",\"bg\":{number}}}";

    public string Url(int number) => $"{Downstream}/down?id={id}&n={number}";

    // Propagation headers of one call.
    public IEnumerable<(string, string)> Headers()
    {
        var span = SpanId();
        switch (mode)
        {
            case "propagate":
                return new[] { ("traceparent", $"00-{trace}-{span}-01") };
            case "leak":
                return new[] { ("traceparent", $"00-{leaked}-{span}-01") };
            case "restart":
                return new[] { ("traceparent", $"00-{TraceId()}-{span}-01") };
            case "forward" when inbound != null:
                return new[] { ("traceparent", inbound) };
            case "malformed":
                return new[] { ("traceparent", Malformed(span)) };
            case "b3" when variant % 2 == 1:
                return new[] { ("b3", $"{trace}-{span}-1") };
            case "b3":
                return new[] { ("X-B3-TraceId", trace), ("X-B3-SpanId", span), ("X-B3-Sampled", "1") };
            default:
                return Array.Empty<(string, string)>();
        }
    }

    // Log line k: JSON when k is even, text when it is odd.
    public string Line(int k)
    {
        var (name, value) = log switch
        {
            "linked" => ("trace_id", trace),
            "zero" => ("trace_id", new string('0', 32)),
            "decimal" => ("dd.trace_id", Convert.ToUInt64(trace.Substring(16), 16).ToString(CultureInfo.InvariantCulture)),
            _ => ("", ""),
        };
        if (k % 2 == 0)
        {
            var field = name == "" ? "" : $",\"{name}\":\"{value}\"";
            return $"{{\"level\":\"info\",\"message\":\"step\",\"id\":\"{id}\",\"k\":{k}{field}}}";
        }
        return $"INFO step id={id} k={k}" + (name == "" ? "" : $" {name}={value}");
    }

    private static string TraceId() => Guid.NewGuid().ToString("N");

    private static string SpanId() => TraceId().Substring(0, 16);

    // A traceparent that breaks one rule of W3C Trace Context, level 1, section 3.2.
    private string Malformed(string span)
    {
        var kinds = new[]
        {
            $"00-{trace.Substring(0, 31)}-{span}-01",
            $"00-{trace.Substring(0, 30).ToUpperInvariant()}AB-{span}-01",
            $"ff-{trace}-{span}-01",
            $"00-{new string('0', 32)}-{span}-01",
            $"00-{trace}-{new string('0', 16)}-01",
            $"00-{trace.Substring(0, 31)}g-{span}-01",
            $"00-{trace}-{span}",
            $"00-{trace}-{span}-01-extra",
        };
        return kinds[variant % kinds.Length];
    }
}
