using BgSync.Http.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace BgSync.Http.Tests.Routing;

public class RouteTableTests
{
    private static readonly IServiceProvider _noServices = new ServiceCollection().BuildServiceProvider();

    [Theory]
    [InlineData("/", "/")]
    [InlineData("/albums", "/albums")]
    [InlineData("/albums", "/Albums/")]
    [InlineData("/albums/", "/albums")]
    [InlineData("/albums", "/albums?page=1#top")]
    [InlineData("/albums", "/%61lbums")]
    [InlineData("/albums", "/photos/../albums")]
    [InlineData("/café", "/caf%c3%a9")]
    [InlineData("/caf%c3%a9", "/café")]
    [InlineData("/a b", "/a%20b")]
    [InlineData("/a%2fb", "/a%2Fb")]
    [InlineData("/%7Bid%7D", "/{id}")]
    [InlineData("/albums/{album}", "/albums/7")]
    [InlineData("/albums/{album}", "/albums/a%2Fb")]
    [InlineData("/{a}/{b}", "/1/2/")]
    [InlineData("/albums/{album?}", "/albums")]
    [InlineData("/albums/{album?}", "/albums/7")]
    [InlineData("/{all?}", "/")]
    [InlineData("/albums/{*rest}", "/albums")]
    [InlineData("/albums/{*rest}", "/albums/7/photos/1")]
    [InlineData("/albums/{**rest}", "/albums//7")]
    [InlineData("/{*rest}", "/")]
    public void A_template_matches(string template, string path) => Assert.True(IsMatch(template, path));

    [Theory]
    [InlineData("/", "/albums")]
    [InlineData("/albums", "/")]
    [InlineData("/albums", "/album")]
    [InlineData("/albums", "/albums2")]
    [InlineData("/albums", "/albums/7")]
    [InlineData("/albums", "//albums")]
    [InlineData("/albums", "/albums//")]
    [InlineData("/a/b", "/a%2Fb")]
    [InlineData("/albums/{album}", "/albums")]
    [InlineData("/albums/{album}", "/albums/")]
    [InlineData("/albums/{album}", "/albums//")]
    [InlineData("/albums/{album}", "/albums/7/photos")]
    [InlineData("/albums/{album}/photos", "/albums//photos")]
    [InlineData("/albums/{album?}", "/albums/7/photos")]
    [InlineData("/albums/{*rest}", "/photos/albums")]
    public void A_template_does_not_match(string template, string path) => Assert.False(IsMatch(template, path));

    [Fact]
    public void A_literal_that_leads_nowhere_does_not_hide_a_parameter()
    {
        var table = Compile(routes =>
        {
            routes.Add("/a/b/c");
            routes.Add("/a/{x}/d");
            routes.Add("/{x}/b/e");
            routes.Add("/a/b/{x}/f/{*rest}");
        });

        Assert.True(table.IsMatch(Request(HttpMethod.Post, "/a/b/c")));
        Assert.True(table.IsMatch(Request(HttpMethod.Post, "/a/b/d")));
        Assert.True(table.IsMatch(Request(HttpMethod.Post, "/a/b/e")));
        Assert.True(table.IsMatch(Request(HttpMethod.Post, "/a/b/c/f")));
        Assert.False(table.IsMatch(Request(HttpMethod.Post, "/a/b/f")));
        Assert.False(table.IsMatch(Request(HttpMethod.Post, "/a/b")));
    }

    [Fact]
    public void Trie_and_naive_matcher_agree()
    {
        var random = new Random(20_260_101);
        var matches = 0;
        for (var round = 0; round < 3_000; round++)
        {
            var templates = Enumerable.Range(0, random.Next(1, 6)).Select(_ => RandomTemplate(random)).ToArray();
            var table = Compile(routes => Array.ForEach(templates, routes.Add));
            for (var i = 0; i < 10; i++)
            {
                var path = RandomPath(random);
                var expected = templates.Any(template => NaiveMatcher.IsMatch(template, path));
                Assert.True(
                    expected == table.IsMatch(Request(HttpMethod.Post, path)),
                    $"[{string.Join(", ", templates)}] and {path}: expected {expected}");
                matches += expected ? 1 : 0;
            }
        }

        // Neither side of the comparison is nearly empty.
        Assert.InRange(matches, 3_000, 27_000);
    }

    [Theory]
    [InlineData("POST", true)]
    [InlineData("PUT", true)]
    [InlineData("PATCH", true)]
    [InlineData("DELETE", true)]
    [InlineData("GET", false)]
    [InlineData("HEAD", false)]
    [InlineData("OPTIONS", false)]
    [InlineData("PROPFIND", false)]
    public void Without_a_method_a_route_is_for_the_unsafe_methods(string method, bool expected)
    {
        var request = Request(new HttpMethod(method), "/albums");

        Assert.Equal(expected, Compile(_ => { }).IsMatch(request));
        Assert.Equal(expected, Compile(routes => routes.Add("/albums")).IsMatch(request));
        Assert.Equal(expected, Compile(routes => routes.Add(_ => true)).IsMatch(request));
        Assert.Equal(expected, Compile(routes => routes.Add<AlbumPredicate>()).IsMatch(request));
    }

    [Fact]
    public void A_route_for_a_method_is_for_that_method_only()
    {
        var tables = new[]
        {
            Compile(routes => routes.Add(HttpMethod.Get, "/albums")),
            Compile(routes => routes.Add("GET /albums")),
            Compile(routes => routes.Add("  get   /albums  ")),
            Compile(routes => routes.Add(HttpMethod.Get, _ => true)),
            Compile(routes => routes.Add<AlbumPredicate>(HttpMethod.Get)),
        };

        Assert.All(tables, table =>
        {
            Assert.True(table.IsMatch(Request(HttpMethod.Get, "/albums")));
            Assert.False(table.IsMatch(Request(HttpMethod.Head, "/albums")));
            Assert.False(table.IsMatch(Request(HttpMethod.Post, "/albums")));
        });
    }

    [Theory]
    [InlineData("P[ST /albums")]
    [InlineData("POST,PUT /albums")]
    public void A_malformed_method_says_what_to_write(string route)
    {
        var failure = Assert.Throws<FormatException>(() => new RouteCollection().Add(route));

        Assert.Contains(route, failure.Message, StringComparison.Ordinal);
        Assert.Contains("\"POST /albums\"", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_malformed_template_adds_no_route()
    {
        var routes = new RouteCollection();

        Assert.Throws<FormatException>(() => routes.Add("/{id:int}"));
        Assert.Throws<FormatException>(() => routes.Add(HttpMethod.Post, "albums"));
        Assert.Throws<FormatException>(() => routes.Add("POST albums"));
        Assert.Equal(0, routes.Count);
    }

    [Fact]
    public void A_predicate_comes_from_the_container_once()
    {
        var registered = new CountingPredicate();
        using var services = new ServiceCollection().AddSingleton(registered).BuildServiceProvider();
        var routes = new RouteCollection();
        routes.Add<CountingPredicate>();
        var table = RouteTable.Compile(routes, services, static _ => { });

        table.IsMatch(Request(HttpMethod.Post, "/albums"));
        table.IsMatch(Request(HttpMethod.Put, "/albums"));
        table.IsMatch(Request(HttpMethod.Get, "/albums"));

        Assert.Equal(2, registered.Asked);
    }

    [Fact]
    public void A_predicate_is_not_asked_when_a_template_matches()
    {
        var table = Compile(routes =>
        {
            routes.Add(_ => throw new InvalidOperationException("asked"));
            routes.Add("/albums");
        });

        Assert.True(table.IsMatch(Request(HttpMethod.Post, "/albums")));
    }

    [Fact]
    public void A_predicate_that_throws_does_not_match_and_is_reported_once()
    {
        var failures = new List<Exception>();
        var thrown = new InvalidOperationException("of the caller's own code");
        var routes = new RouteCollection();
        routes.Add(_ => throw thrown);
        routes.Add(request => request.RequestUri!.AbsolutePath == "/watched");
        var table = RouteTable.Compile(routes, _noServices, failures.Add);

        Assert.False(table.IsMatch(Request(HttpMethod.Post, "/")));
        Assert.True(table.IsMatch(Request(HttpMethod.Post, "/watched")));

        Assert.Same(thrown, Assert.Single(failures));
    }

    [Fact]
    public void A_request_without_an_absolute_URI_matches_nothing()
    {
        var table = Compile(routes =>
        {
            routes.Add("/{*all}");
            routes.Add(_ => true);
        });

        Assert.False(table.IsMatch(new HttpRequestMessage(HttpMethod.Post, (Uri?)null)));
        Assert.False(table.IsMatch(new HttpRequestMessage(HttpMethod.Post, new Uri("/albums", UriKind.Relative))));
    }

    [Fact]
    public void The_table_is_not_changed_by_routes_that_are_added_later()
    {
        var routes = new RouteCollection();
        routes.Add("/albums");
        var table = RouteTable.Compile(routes, _noServices, static _ => { });

        routes.Add("/photos");

        Assert.False(table.IsMatch(Request(HttpMethod.Post, "/photos")));
        Assert.Equal(2, routes.Count);
    }

    [Fact]
    public void A_miss_allocates_nothing()
    {
        var table = Compile(routes =>
        {
            routes.Add("/albums/{album}/photos/{photo?}");
            routes.Add("/files/{**rest}");
            routes.Add(request => request.RequestUri!.Port == 1);
            routes.Add<AlbumPredicate>();
        });
        var byMethod = Request(HttpMethod.Get, "/albums/7/photos");
        var byPath = Request(HttpMethod.Post, "/albums/7/covers/caf%C3%A9");

        Assert.Equal(0, AllocatedByThousand(() => table.IsMatch(byMethod)));
        Assert.Equal(0, AllocatedByThousand(() => table.IsMatch(byPath)));
    }

    private static long AllocatedByThousand(Func<bool> isMatch)
    {
        // The first call makes Uri and the runtime compute what they keep.
        Assert.False(isMatch());
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++)
        {
            isMatch();
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static bool IsMatch(string template, string path) =>
        Compile(routes => routes.Add(template)).IsMatch(Request(HttpMethod.Post, path));

    private static RouteTable Compile(Action<RouteCollection> configure)
    {
        var routes = new RouteCollection();
        configure(routes);
        return RouteTable.Compile(routes, _noServices, static _ => { });
    }

    private static HttpRequestMessage Request(HttpMethod method, string path) => new(method, "https://api.example.com" + path);

    private static string RandomTemplate(Random random)
    {
        var length = random.Next(0, 5);
        var segments = Enumerable.Range(0, length).Select(i => (random.Next(8), IsLast: i == length - 1) switch
        {
            (0, true) => "{p" + i + "?}",
            (1, true) => "{*p" + i + "}",
            ( < 4, _) => "{p" + i + "}",
            _ => RandomLiteral(random),
        });
        return "/" + string.Join('/', segments) + (length > 0 && random.Next(4) == 0 ? "/" : "");
    }

    private static string RandomPath(Random random)
    {
        var segments = Enumerable.Range(0, random.Next(0, 6)).Select(_ => random.Next(12) == 0 ? "" : RandomLiteral(random));
        return "/" + string.Join('/', segments) + (random.Next(4) == 0 ? "/" : "");
    }

    private static string RandomLiteral(Random random) => new[] { "a", "b", "A", "aa" }[random.Next(4)];

    private sealed class CountingPredicate : IRoutePredicate
    {
        public int Asked { get; private set; }

        public bool IsMatch(HttpRequestMessage request)
        {
            Asked++;
            return true;
        }
    }

    private sealed class AlbumPredicate : IRoutePredicate
    {
        public bool IsMatch(HttpRequestMessage request) => request.RequestUri!.AbsolutePath == "/albums";
    }
}
