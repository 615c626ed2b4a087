// ASP.NET Core on Kestrel; HttpClient with pooled connections.

using System;
using System.Linq;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

internal static class Program
{
    private static readonly HttpClient Client = new HttpClient();

    private static async Task Main()
    {
        var port = Environment.GetEnvironmentVariable("PORT") ?? "0";
        using var host = Host.CreateDefaultBuilder()
            .ConfigureLogging(logging => logging.ClearProviders())
            .ConfigureWebHost(web => web
                .UseKestrel()
                .UseUrls($"http://127.0.0.1:{port}")
                .Configure(app => app.Run(Answer)))
            .Build();
        await host.StartAsync();
        var server = (Microsoft.AspNetCore.Hosting.Server.IServer)host.Services.GetService(
            typeof(Microsoft.AspNetCore.Hosting.Server.IServer));
        var address = server.Features.Get<IServerAddressesFeature>().Addresses.First();
        Log($"ready {new Uri(address).Port}");
        if (Work.BackgroundMillis > 0)
        {
            _ = Task.Run(Background);
        }
        await host.WaitForShutdownAsync();
    }

    private static async Task Answer(HttpContext context)
    {
        if (context.Request.Path == "/work")
        {
            await Serve(new Work(context.Request.Query, context.Request.Headers["traceparent"]));
        }
        context.Response.ContentType = "text/plain";
        await context.Response.WriteAsync("done\n");
    }

    private static async Task Serve(Work job)
    {
        Log(job.Line(0));
        var numbers = Enumerable.Range(1, job.Calls);
        if (job.Parallel)
        {
            await Task.WhenAll(numbers.Select(number => Step(job, number)));
        }
        else
        {
            foreach (var number in numbers)
            {
                await Step(job, number);
            }
        }
        for (var k = Math.Min(job.Calls, 2) + 1; k <= 3; k++)
        {
            Log(job.Line(k));
        }
    }

    private static async Task Step(Work job, int number)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, job.Url(number));
        foreach (var (name, value) in job.Headers())
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        using var response = await Client.SendAsync(request);
        response.EnsureSuccessStatusCode();
        if (number <= 2)
        {
            Log(job.Line(number));
        }
    }

    private static async Task Background()
    {
        for (var n = 1; ; n++)
        {
            await Task.Delay(Work.BackgroundMillis);
            using var response = await Client.GetAsync(Work.BackgroundUrl(n));
            Log(Work.BackgroundLine(n));
        }
    }

    private static readonly System.IO.Stream Out = Console.OpenStandardOutput();

    // One write for one line.
    private static void Log(string line) => Out.Write(Encoding.UTF8.GetBytes(line + "\n"));
}
