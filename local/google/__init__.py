"""What speaks to Google's emulators, or stands in where there is none."""
