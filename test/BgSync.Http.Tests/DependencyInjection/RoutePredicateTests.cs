using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Http;
using Microsoft.Extensions.Options;
using TestKit;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>Routes that ask a service.</summary>
public sealed class RoutePredicateTests
{
    private static readonly Uri _watched = new("http://img.example.com/photos");

    [Fact]
    public async Task A_predicate_from_the_container_decides_with_what_it_depends_on()
    {
        await using var app = new TestApplication(
            sync => sync.Routes.Add<HostPredicate>(),
            services: services => services.AddSingleton<HostPredicate>().AddSingleton(new WatchedHost("img.example.com")),
            primary: () => new FakeWire());

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.PostAsync(_watched, null));
        await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.PostAsync(new Uri("http://example.com/photos"), null));

        Assert.Equal(_watched, Assert.Single(await app.EntriesAsync()).Request.Uri);
    }

    [Fact]
    public async Task A_predicate_that_was_not_registered_is_made_with_what_the_container_has()
    {
        await using var app = new TestApplication(
            sync => sync.Routes.Add<HostPredicate>(HttpMethod.Get),
            services: services => services.AddSingleton(new WatchedHost("img.example.com")),
            primary: () => new FakeWire());

        await Assert.ThrowsAsync<RequestQueuedException>(() => app.Client.GetAsync(_watched));
    }

    [Fact]
    public async Task A_predicate_serves_its_queue_for_life_however_often_the_pipeline_is_made_anew()
    {
        var made = 0;
        await using var app = new TestApplication(
            sync => sync.Routes.Add<CountingPredicate>(),
            services: services => services.AddTransient(_ =>
            {
                made++;
                return new CountingPredicate();
            }));
        var build = app.Services.GetRequiredService<IOptionsMonitor<HttpClientFactoryOptions>>().Get("api")
            .HttpMessageHandlerBuilderActions;

        for (var i = 0; i < 2; i++)
        {
            var pipeline = app.Services.GetRequiredService<HttpMessageHandlerBuilder>();
            build.ToList().ForEach(action => action(pipeline));
        }

        Assert.Equal(1, made);
    }

    [Fact]
    public async Task A_predicate_that_throws_does_not_match_and_is_logged_once()
    {
        var wire = new FakeWire { IsOnline = true };
        await using var app = new TestApplication(
            sync => sync.Routes.Add(static _ => throw new NotSupportedException("mine")), primary: () => wire);

        (await app.Client.PostAsync(_watched, null)).Dispose();
        (await app.Client.PostAsync(_watched, null)).Dispose();

        Assert.Equal(2, wire.Received.Count);
        Assert.Contains("a route", Assert.Single(app.Logs.Lines, static line => line.EventId == 2061).Message, StringComparison.Ordinal);
    }

    private sealed record WatchedHost(string Name);

    private sealed class HostPredicate(WatchedHost host) : IRoutePredicate
    {
        public bool IsMatch(HttpRequestMessage request) => request.RequestUri!.Host == host.Name;
    }

    private sealed class CountingPredicate : IRoutePredicate
    {
        public bool IsMatch(HttpRequestMessage request) => true;
    }
}
