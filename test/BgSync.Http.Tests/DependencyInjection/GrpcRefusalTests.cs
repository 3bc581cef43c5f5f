using System.Text;
using Grpc.Core;
using Grpc.Net.ClientFactory;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace BgSync.Http.Tests.DependencyInjection;

/// <summary>A gRPC client is refused: a queue would serve it in appearance only.</summary>
public sealed class GrpcRefusalTests
{
    public static TheoryData<string, Action<IServiceCollection>> QueueAfterGrpc => new()
    {
        { "on the builder", services => services.AddGrpcClient<Greeter>().AddBackgroundSync("g") },
        { "with options", services => services.AddGrpcClient<Greeter>(SetAddress).AddBackgroundSync("g") },
        { "with a name", services => services.AddGrpcClient<Greeter>("named").AddBackgroundSync("g") },
        {
            "on the same client",
            services =>
            {
                services.AddGrpcClient<Greeter>("named", SetAddress);
                services.AddHttpClient("named").AddBackgroundSync("g");
            }
        },
    };

    public static TheoryData<string> ContentTypes => ["application/grpc", "application/grpc+proto", "APPLICATION/GRPC-WEB"];

    [Theory]
    [MemberData(nameof(QueueAfterGrpc), DisableDiscoveryEnumeration = true)]
    public void A_queue_for_a_gRPC_client_is_refused_at_registration(string situation, Action<IServiceCollection> register)
    {
        var failure = Assert.Throws<InvalidOperationException>(() => register(new ServiceCollection()));

        AssertSaysWhy(failure);
        Assert.NotEmpty(situation);
    }

    [Fact]
    public async Task A_gRPC_client_that_is_registered_after_its_queue_is_refused_at_its_first_use()
    {
        var services = new ServiceCollection();
        services.AddHttpClient(nameof(Greeter)).AddBackgroundSync("g");
        services.AddBackgroundSyncMemory();
        services.AddGrpcClient<Greeter>(SetAddress);
        await using var provider = services.BuildServiceProvider();

        AssertSaysWhy(Assert.Throws<InvalidOperationException>(provider.GetRequiredService<Greeter>));
        AssertSaysWhy(Assert.Throws<InvalidOperationException>(
            () => provider.GetRequiredService<IHttpClientFactory>().CreateClient(nameof(Greeter))));
    }

    [Fact]
    public async Task A_gRPC_client_beside_a_client_with_a_queue_is_left_alone()
    {
        var services = new ServiceCollection();
        services.AddGrpcClient<Greeter>(SetAddress);
        services.AddHttpClient("api").AddBackgroundSync("orders");
        services.AddBackgroundSyncMemory();
        await using var provider = services.BuildServiceProvider();

        Assert.NotNull(provider.GetRequiredService<Greeter>());
        Assert.NotNull(provider.GetRequiredService<IHttpClientFactory>().CreateClient("api"));
    }

    [Theory]
    [MemberData(nameof(ContentTypes))]
    public void A_watched_call_of_gRPC_is_refused(string contentType)
    {
        using var request = new HttpRequestMessage { Content = new ByteArrayContent([]) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);

        AssertSaysWhy(Assert.Throws<InvalidOperationException>(() => GrpcRefusal.ThrowIfGrpcCall(request, "g")));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("application/json")]
    [InlineData("text/plain; note=application/grpc")]
    public void Any_other_request_passes(string? contentType)
    {
        using var request = new HttpRequestMessage { Content = new ByteArrayContent([]) };
        if (contentType is not null)
        {
            request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        GrpcRefusal.ThrowIfGrpcCall(request, "g");
        request.Content = null;
        GrpcRefusal.ThrowIfGrpcCall(request, "g");
    }

    private static void SetAddress(GrpcClientFactoryOptions options) => options.Address = new Uri("http://127.0.0.1:1");

    private static void AssertSaysWhy(InvalidOperationException failure)
    {
        Assert.Contains("gRPC connects by itself", failure.Message, StringComparison.Ordinal);
        Assert.Contains("trailers", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Leave AddBackgroundSync away", failure.Message, StringComparison.Ordinal);
    }

    /// <summary>The code that protoc would generate.</summary>
    private sealed class Greeter(CallInvoker invoker)
    {
        private static readonly Marshaller<string> _text = Marshallers.Create(Encoding.UTF8.GetBytes, Encoding.UTF8.GetString);
        private static readonly Method<string, string> _say = new(MethodType.Unary, "greet.Greeter", "Say", _text, _text);

        public AsyncUnaryCall<string> SayAsync(string text) => invoker.AsyncUnaryCall(_say, null, new CallOptions(), text);
    }
}
