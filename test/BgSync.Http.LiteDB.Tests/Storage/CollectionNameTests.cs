using BgSync.Http.LiteDB.Collections;
using Xunit;

namespace BgSync.Http.LiteDB.Tests.Storage;

public sealed class CollectionNameTests
{
    private static readonly string[] _names =
    [
        "orders", "Orders", "ORDERS", "my-queue", "my_queue", "my$queue", "my$2Dqueue", "1st", "_1st", "_$31st", "-x", "_-x", "_$2Dx", "$",
        "_", "__", "_$5F", "a b", "größe", "注文", "\U0001F680", "bgsync$lanes", "bgsync", "bgsync$DEadletters", "a\0b",
    ];

    [Theory]
    [InlineData("orders", "orders")]
    [InlineData("myQueue", "myQueue")]
    [InlineData("my-queue", "my$2Dqueue")]
    [InlineData("1st", "_$31st")]
    [InlineData("größe", "gr$C3$B6$C3$9Fe")]
    public void A_collection_bears_the_name_of_its_queue(string queue, string collection) =>
        Assert.Equal(collection, CollectionName.Of(queue));

    [Fact]
    public void A_name_is_read_back_from_either_of_its_forms()
    {
        foreach (var name in _names)
        {
            Assert.Equal(name, CollectionName.QueueOf(CollectionName.Of(name)));
            Assert.Equal(name, CollectionName.QueueOf(CollectionName.Exact(name)));
        }
    }

    [Fact]
    public void LiteDB_allows_every_name()
    {
        foreach (var collection in _names.SelectMany(static name => new[] { CollectionName.Of(name), CollectionName.Exact(name) }))
        {
            Assert.Matches("^[A-Za-z_][A-Za-z0-9_$]*$", collection);
        }
    }

    [Fact]
    public void No_two_queues_share_a_collection_but_those_whose_names_differ_in_case_only()
    {
        foreach (var names in _names.GroupBy(CollectionName.Of, StringComparer.OrdinalIgnoreCase).Where(names => names.Count() > 1))
        {
            Assert.Single(names.Distinct(StringComparer.OrdinalIgnoreCase));
        }

        Assert.Equal(
            _names.Length, _names.Select(CollectionName.Exact).Distinct(StringComparer.OrdinalIgnoreCase).Count());
    }

    [Fact]
    public void No_queue_has_the_collection_of_something_else() =>
        Assert.DoesNotContain(_names.Select(CollectionName.Of), static name => name.StartsWith("bgsync$l", StringComparison.OrdinalIgnoreCase));
}
