using Spectre.Console;

namespace BgSync.Tool;

/// <summary>Standard output as Spectre.Console sees it.</summary>
internal static class Terminal
{
    /// <summary>The width for a file or a pipe, which has none of its own.</summary>
    private const int RedirectedWidth = 140;

    public static IAnsiConsole Open()
    {
        if (!Console.IsOutputRedirected)
        {
            return AnsiConsole.Create(new AnsiConsoleSettings());
        }

        var plain = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Interactive = InteractionSupport.No });
        plain.Profile.Width = RedirectedWidth;
        return plain;
    }
}
